#!/usr/bin/env python3
"""Writes a tar of labelled images for the demo and the tests: Fashion-MNIST, from Debian's package dataset-fashion-mnist.

    tools/image_data.py OUT.tar [--train 20] [--validation 5] [--test 5] [--classes 10] [--size 28] [--seed 7]

Counts are images of each class. The tar holds SPLIT/CLASS/NUMBER.png, 8-bit grey, where NUMBER is the image's position in the package's file; --size scales them up
(bicubic). Training and validation come from the package's training file, test from its test file. The draw depends on the seed and the position alone, and equal
arguments give equal bytes. Needs numpy and pillow.
"""
import argparse
import gzip
import hashlib
import io
import os
import tarfile

import numpy
from PIL import Image

SOURCE = "/usr/share/datasets/fashion-mnist"
CLASSES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle-boot"]


def read_idx(name):
    """An IDX file of bytes: magic 0, 0, 8, rank; big-endian sizes; the values."""
    with gzip.open(os.path.join(SOURCE, name)) as file:
        data = file.read()
    if data[:3] != b"\0\0\x08":
        raise SystemExit(f"{name} is no IDX file of bytes; reinstall the package dataset-fashion-mnist")
    shape = numpy.frombuffer(data, ">i4", count=data[3], offset=4)
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(shape)


def draw(labels, label, seed, part):
    """Positions of a class's images, in the seed's order."""
    return sorted(numpy.flatnonzero(labels == label).tolist(), key=lambda i: hashlib.sha256(f"{seed}/{part}/{i}".encode()).digest())


def png(pixels, size):
    image = Image.fromarray(pixels)
    if size != image.width:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def entries(options):
    """(path in the tar, file's bytes), in order."""
    for part, splits in (("train", ("train", "validation")), ("t10k", ("test",))):
        images, labels = read_idx(f"{part}-images-idx3-ubyte.gz"), read_idx(f"{part}-labels-idx1-ubyte.gz")
        for label, name in enumerate(CLASSES[:options.classes]):
            order = draw(labels, label, options.seed, part)
            for split in splits:
                count = getattr(options, split)
                if count > len(order):
                    raise SystemExit(f"--{split}: the package has only {len(order)} more images of {name}")
                for position in sorted(order[:count]):
                    yield f"{split}/{name}/{position:05}.png", png(images[position], options.size)
                order = order[count:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--train", type=int, default=20)
    parser.add_argument("--validation", type=int, default=5)
    parser.add_argument("--test", type=int, default=5)
    parser.add_argument("--classes", type=int, default=10, choices=range(2, 11), metavar="2..10")
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tarfile.open(options.out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in entries(options):
            entry = tarfile.TarInfo(path)  # no time, no owner: the same bytes each time
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
