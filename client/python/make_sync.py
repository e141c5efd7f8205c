#!/usr/bin/env python3
"""Writes attune_client/_sync from attune_client/_async: the same code without async and await, so that there is one text of each call. transport.py is written by hand in
both folders.

    client/python/make_sync.py            writes
    client/python/make_sync.py --check    exit 1 and a line for each file that is not what it would write
"""
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "attune_client"
BY_HAND = {"transport.py", "README.md"}
HEAD = "# Made by client/python/make_sync.py from attune_client/_async/{name}; change that.\n"
RENAMED = [(r"\basync (def|for|with) ", r"\1 "), (r"\bawait ", ""), (r"\baclosing\b", "closing"), (r"\b_async\b", "_sync"), (r"\bAsync(?=[A-Z])", ""),
           (r"__aenter__", "__enter__"), (r"__aexit__", "__exit__")]
# Docstrings that speak of both classes stay as they are.
KEPT = "AsyncClient has the same methods for asyncio"


def sync_text(name, text):
    lines = []
    for line in text.splitlines(keepends=True):
        if KEPT not in line:
            for pattern, replacement in RENAMED:
                line = re.sub(pattern, replacement, line)
        lines.append(line)
    return HEAD.format(name=name) + "".join(lines)


def main():
    wanted = {path.name: sync_text(path.name, path.read_text(encoding="utf-8")) for path in (PACKAGE / "_async").glob("*.py") if path.name not in BY_HAND}
    out = PACKAGE / "_sync"
    stale = sorted({path.name for path in out.glob("*.py") if path.name not in BY_HAND | wanted.keys()} |
                   {name for name, text in wanted.items() if not (out / name).is_file() or (out / name).read_text(encoding="utf-8") != text})
    if "--check" in sys.argv:
        for name in stale:
            print(f"attune_client/_sync/{name} is not what client/python/make_sync.py makes of _async/{name}")
        return 1 if stale else 0
    for name in stale:
        if name in wanted:
            (out / name).write_text(wanted[name], encoding="utf-8")
        else:
            (out / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
