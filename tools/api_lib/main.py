import argparse
import os
import re
import sys
import tempfile

import baseline
from descriptors import build_image, load, read_image
from pages import Pages

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BY_HAND = {"errors.md"}


SCOPES = {"Read": "read", "Work": "write", "Change": "write", "Admin": "admin"}


def scopes_of(root):
    """What each method needs, from the server's table."""
    with open(os.path.join(root, "server", "auth", "permissions.cc"), encoding="utf-8") as file:
        return {method: SCOPES[kind] for kind, method in re.findall(r"\b(Read|Work|Change|Admin)\(\"(attune\.v1\.\w+/\w+)\"\)", file.read())}


def pages_of(root):
    proto = os.path.join(root, "proto")
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "image.binpb")
        build_image(proto, path, source_info=True)
        return Pages(load(read_image(path)), scopes_of(root)).all()


def stale_pages(docs, pages):
    there = {name for name in os.listdir(docs) if name.endswith(".md")} - BY_HAND if os.path.isdir(docs) else set()

    def text(name):
        with open(os.path.join(docs, name), encoding="utf-8") as file:
            return file.read()
    return sorted(there - pages.keys()) + sorted(name for name in pages if name not in there or text(name) != pages[name])


def write(docs, pages):
    os.makedirs(docs, exist_ok=True)
    for name in stale_pages(docs, pages):
        if name not in pages:
            os.remove(os.path.join(docs, name))
            continue
        with open(os.path.join(docs, name), "w", encoding="utf-8") as file:
            file.write(pages[name])


def main():
    parser = argparse.ArgumentParser(prog="tools/api", description="Renews docs/api and the baseline of the API from proto/attune/v1.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something is not up to date or breaks clients")
    parser.add_argument("--accept-breaking", action="store_true", help="renew the baseline although that breaks clients of it")
    parser.add_argument("--root", default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    proto, docs = os.path.join(options.root, "proto"), os.path.join(options.root, "docs", "api")
    exists = os.path.exists(os.path.join(proto, baseline.BASELINE))
    breaking = baseline.breaking_changes(proto) if exists else []
    for line in breaking:
        print(f"breaks clients: {line}")
    pages = pages_of(options.root)
    if options.check:
        faults = [f"docs/api/{name} is not what the protos say: run tools/api" for name in stale_pages(docs, pages)]
        if not breaking and not (exists and baseline.is_current(proto)):
            faults.append("proto/baseline is not the API as it is: run tools/api")
        for fault in faults:
            print(fault)
        return 1 if faults or breaking else 0
    write(docs, pages)
    if breaking and not options.accept_breaking:
        print("the baseline stays as it was: keep what clients use, or deprecate it and add the new beside it")
        return 1
    if not (exists and baseline.is_current(proto)):
        baseline.renew(proto)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(f"tools/api: {error}")
