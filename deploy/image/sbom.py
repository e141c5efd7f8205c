#!/usr/bin/env python3
"""Writes what an image is made of as a software bill of materials: CycloneDX 1.5, JSON. The same image gives the same bytes. Runs in the image's build; standard library only.

    sbom.py --version 0.1.0 --root DIR... --crates Cargo.lock --pins tools/versions.sh... --compiled-in PACKAGE... --out FILE
    sbom.py --extend FILE --root DIR... --pins FILE... --out FILE         the same with what further folders hold

What image_root.py put into the folders is listed: Debian's packages, wheels (with the checksums that they were fetched by), Rust crates as locked, and our programs.
"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid
from email.parser import Parser
from urllib.parse import quote

DISTRIBUTION = "debian-12"


def component(kind, name, version, purl=None, **more):
    made = {"type": kind, "bom-ref": purl or f"{name}@{version}", "name": name, "version": version}
    if purl:
        made["purl"] = purl
    return {**made, **{key.replace("_", "-"): value for key, value in more.items() if value}}


def sha256(text):
    return [{"alg": "SHA-256", "content": text}]


def debian_package(status):
    """Of an entry of dpkg's status file."""
    fields = Parser().parsestr(status)
    source = (fields["Source"] or fields["Package"]).split()[0]
    purl = f"pkg:deb/debian/{quote(fields['Package'], safe='')}@{quote(fields['Version'], safe='')}?arch={fields['Architecture']}&distro={DISTRIBUTION}"
    return component("library", fields["Package"], fields["Version"], purl, properties=[{"name": "attune:debian-source", "value": source}])


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text):
    """name==version --hash=sha256:... of a requirements file or of tools/versions.sh -> {(name, version): checksum}."""
    return {(normalised(name), version): checksum for name, version, checksum in re.findall(r"^([\w.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})", text, re.M)}


def wheel(metadata, pinned):
    fields = Parser().parsestr(metadata)
    name, version = normalised(fields["Name"]), fields["Version"]
    # The field for expressions is newer than most wheels, and some put whole texts into the other one.
    licence = fields["License-Expression"] or fields["License"] or ""
    licences = [{"license": {"name": licence}}] if licence and len(licence) < 100 and "\n" not in licence else None
    return component("library", name, version, f"pkg:pypi/{name}@{version}", hashes=sha256(pinned[name, version]), licenses=licences)


def crates(lock):
    """Of Cargo.lock; without our own, which are part of the programs."""
    return [component("library", package["name"], package["version"], f"pkg:cargo/{package['name']}@{package['version']}", hashes=sha256(package["checksum"]))
            for package in tomllib.loads(lock)["package"] if "checksum" in package]


def components_of(root, pinned, version):
    found = [debian_package(path.read_text()) for path in sorted(root.glob("var/lib/dpkg/status.d/*"))]
    found += [wheel(path.read_text(), pinned) for path in sorted(root.glob("usr/share/doc/attune/wheels/*/METADATA"))]
    for path in sorted(root.glob("usr/local/bin/*")):
        found.append(component("application", path.name, version, hashes=sha256(hashlib.sha256(path.read_bytes()).hexdigest())))
    return found


def document(version, components):
    by_ref = {one["bom-ref"]: one for one in components}
    listed = [by_ref[ref] for ref in sorted(by_ref)]
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}", "version": 1,
            "metadata": {"component": component("container", "attune", version)}, "components": listed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version")
    parser.add_argument("--extend", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--pins", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--crates", type=pathlib.Path)
    parser.add_argument("--compiled-in", nargs="*", default=[], metavar="PACKAGE")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    before = json.loads(options.extend.read_text()) if options.extend else None
    version = before["metadata"]["component"]["version"] if before else options.version
    pinned = {}
    for path in options.pins:
        pinned.update(pins(path.read_text()))
    components = list(before["components"]) if before else []
    for root in options.root:
        components += components_of(root, pinned, version)
    components += [debian_package(subprocess.run(["dpkg-query", "-s", package], check=True, capture_output=True, text=True).stdout) for package in options.compiled_in]
    if options.crates:
        components += crates(options.crates.read_text())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document(version, components), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
