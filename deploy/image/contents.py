#!/usr/bin/env python3
"""Prints what an image is made of: each large file with what it is for, and the rest in groups. Fails on a large file that nobody has accounted for.

    contents.py ROOT         the image's file system, mounted or unpacked
"""
import os
import pathlib
import re
import sys

LARGE = 1_000_000
# The first pattern that fits a path tells what the file is for.
PURPOSES = [
    (r"/libtorch_cpu\.so$", "LibTorch: tensors, autograd, CPU kernels with MKL and oneDNN inside; its symbol tables (93 MB) are left out"),
    (r"/libtorch_cuda\.so$", "LibTorch's CUDA kernels for each generation of GPUs"),
    (r"/libtorch_cuda_linalg\.so$", "LibTorch's linear algebra on GPUs; opened when first used"),
    (r"/libtorch_nvshmem\.so$", "LibTorch's memory shared between GPUs; libtorch_cuda.so is linked to it"),
    (r"/libc10\.so$", "LibTorch's core: types, allocators, dispatch"),
    (r"/libcupti\.so", "NVIDIA's profiler interface: libtorch_cpu.so does not load without it, and nothing here calls it"),
    (r"/libcudnn", "cuDNN: convolutions and attention on GPUs"),
    (r"/libcublas", "cuBLAS: matrix products on GPUs"),
    (r"/libcufft", "cuFFT: libtorch_cuda.so is linked to it"),
    (r"/libcufile", "GPUDirect storage: libtorch_cuda.so is linked to it"),
    (r"/libcusolver", "cuSOLVER: linear algebra on GPUs"),
    (r"/libcusparse", "cuSPARSE: sparse matrices, and what cuSOLVER needs"),
    (r"/libcurand", "cuRAND: libtorch_cuda.so is linked to it"),
    (r"/libnccl", "NCCL: libtorch_cuda.so is linked to it"),
    (r"/libnvrtc|/libnvJitLink", "compiles kernels at run time, for cuDNN and some of LibTorch's operators"),
    (r"/libnvshmem", "NVSHMEM: LibTorch's part for it is linked to it"),
    (r"/attune-server$", "our control plane, with the tokenizers library inside"),
    (r"/attune-worker$", "our training, with the tokenizers library inside"),
    (r"/attune$", "our command line, also the health check"),
    (r"/libcrypto\.so", "OpenSSL: checksums; gRPC is linked to it"),
    (r"/libgrpc\.so", "gRPC's core"),
    (r"/libprotobuf\.so", "Protobuf: messages"),
    (r"/libstdc\+\+\.so", "C++ runtime"),
    (r"/libc\.so", "C library"),
    (r"/libsqlite3\.so", "the database"),
    (r"/libgnutls\.so|/libunistring\.so|/libp11-kit\.so", "libcurl, which fetches the keys of JWT issuers, is linked to it"),
]
GROUPS = [
    (r"^/usr/lib/attune/", "LibTorch and NVIDIA, small libraries"),
    (r"^/usr/lib/x86_64-linux-gnu/", "Debian's libraries, small ones"),
    (r"^/usr/s?bin/", "shell and small tools (busybox)"),
    (r"^/usr/share/doc/", "licences and the SBOM"),
    (r"", "locale, accounts, package records"),
]


def purpose(path):
    return next((text for pattern, text in PURPOSES if re.search(pattern, path)), None)


def files(root):
    """Path in the image -> bytes."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(folder, name)
            if not path.is_symlink() and path.is_file():
                found["/" + str(path.relative_to(root))] = path.stat().st_size
    return found


def table(sizes):
    """Rows of (bytes, what, what for), the largest first, and the paths of large files without a purpose."""
    rows, groups, unknown = [], {}, []
    for path, size in sizes.items():
        if size >= LARGE:
            rows.append((size, path, purpose(path) or "?"))
            if not purpose(path):
                unknown.append(path)
        else:
            what = next(text for pattern, text in GROUPS if re.search(pattern, path))
            bytes_before, count = groups.get(what, (0, 0))
            groups[what] = (bytes_before + size, count + 1)
    rows += [(size, f"{count} files", what) for what, (size, count) in groups.items()]
    return sorted(rows, reverse=True), unknown


def main():
    sizes = files(pathlib.Path(sys.argv[1]))
    rows, unknown = table(sizes)
    width = max(len(what) for _, what, _ in rows)
    for size, what, text in rows:
        print(f"{size / 1e6:8.1f} MB  {what:{width}}  {text}")
    print(f"{sum(sizes.values()) / 1e6:8.1f} MB  in {len(sizes)} files")
    for path in unknown:
        print(f"contents: {path} is large, and PURPOSES does not say what it is for", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
