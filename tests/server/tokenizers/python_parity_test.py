#!/usr/bin/env python3
"""Compares the token ids of server/tokenizers with those of Python's tokenizers and transformers, record by record.

    python_parity_test.py DUMP_PROGRAM        exit 0: all equal; 1: differences (shown); 77: skipped, the reference is not installed
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "golden"))
SHOWN = 5


def parse(raw):
    """The results in expected.bin form, None where the text was refused."""
    values = memoryview(raw).cast("i")
    at, results = 0, []
    while at < len(values):
        count = values[at]
        at += 1
        if count < 0:
            results.append(None)
            continue
        results.append((values[at : at + count].tolist(), values[at + count : at + 2 * count].tolist()))
        at += 2 * count
    return results


def parse_inputs(raw):
    at, records = 0, []
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        text, at = raw[at + 4 : at + 4 + size], at + 4 + size
        (size,) = struct.unpack_from("<i", raw, at)
        pair, at = (None if size < 0 else raw[at + 4 : at + 4 + size]), at + 4 + max(size, 0)
        (length,) = struct.unpack_from("<i", raw, at)
        at += 4
        records.append((text, pair, length))
    return records


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def compare(directory, name, dump):
    """Number of records that differ; the first few are printed."""
    inputs, expected = read(directory, "inputs.bin"), parse(read(directory, "expected.bin"))
    ours = parse(subprocess.run([dump, directory], input=inputs, stdout=subprocess.PIPE, check=True).stdout)
    records = parse_inputs(inputs)
    if not len(records) == len(expected) == len(ours):
        print(f"{name}: {len(records)} texts, {len(expected)} expected results, {len(ours)} results")
        return 1
    different = [i for i in range(len(ours)) if ours[i] != expected[i]]
    for i in different[:SHOWN]:
        print(f"{name} record {i}: {records[i]}\n  python {expected[i]}\n  attune {ours[i]}")
    refused = sum(result is None for result in expected)
    print(f"{name}: {len(ours)} records, {refused} to be refused, {len(different)} differ")
    return len(different)


def main():
    dump = sys.argv[1]
    try:
        import make_tokenizer_goldens
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}; run 'make setup', and this with .deps/testenv/bin/python")
        return 77
    with tempfile.TemporaryDirectory() as out:
        differences = sum(compare(os.path.join(out, name), name, dump) for name in make_tokenizer_goldens.make(out))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
