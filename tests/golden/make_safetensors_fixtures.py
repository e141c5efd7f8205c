#!/usr/bin/env python3
"""Writes tests/golden/safetensors/*.safetensors with the Python library, which server/weights must read and reproduce to the byte.

    python tests/golden/make_safetensors_fixtures.py     needs: pip install safetensors==0.8.0 (neither numpy nor torch)

The values are written out in tests/server/weights/safetensors_fixture_test.cc too; change both together.
"""
import ctypes
import os
import struct

from safetensors import TensorSpec, serialize

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "safetensors")


def write(name, tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes)"""
    keep = []
    specs = {}
    for tensor, (dtype, shape, data) in tensors.items():
        buffer = ctypes.create_string_buffer(data, len(data))
        keep.append(buffer)  # a TensorSpec holds a bare address
        specs[tensor] = TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffer), data_len=len(data))
    with open(os.path.join(FOLDER, name + ".safetensors"), "wb") as file:
        file.write(serialize(specs, metadata))


def main():
    os.makedirs(FOLDER, exist_ok=True)
    write("every_dtype", {
        "f64": ("float64", [2], struct.pack("<2d", 1.5, -2.25)),
        "f32": ("float32", [2, 3], struct.pack("<6f", 0, 1, 2, 3, 4, 5)),
        "f16": ("float16", [2], struct.pack("<2e", 1.0, -0.5)),
        "bf16": ("bfloat16", [1, 2], bytes.fromhex("803f0040")),  # 1, 2
        "i64": ("int64", [1], struct.pack("<q", -7)),
        "i32": ("int32", [1], struct.pack("<i", -6)),
        "i16": ("int16", [1], struct.pack("<h", -5)),
        "i8": ("int8", [3], struct.pack("<3b", -1, 0, 1)),
        "u8": ("uint8", [2], bytes([0, 255])),
        "bool": ("bool", [2], bytes([0, 1])),
    })
    write("shapes_and_names", {
        "scalar": ("float32", [], struct.pack("<f", 0.25)),
        "no.elements": ("float32", [0, 4], b""),
        "größe \"quoted\"\n\t\\": ("float32", [1], struct.pack("<f", 1.0)),
        "bert.pooler.dense.weight": ("float32", [1, 2], struct.pack("<2f", 3.0, 4.0)),
    }, {"format": "pt"})
    write("no_tensors", {}, {"format": "pt"})


if __name__ == "__main__":
    main()
