#!/usr/bin/env python3
"""Puts together what the runtime image holds: programs, every library that they load, a shell, and a record of where it all came from. Runs in the image's build.

    image_root.py --libtorch DIR --out DIR PROGRAM...      OUT/torch, OUT/system and OUT/attune: three layers, by how seldom they change
    image_root.py --libtorch DIR --out DIR --cuda          OUT itself: what the CUDA image has beside

The libraries are those that the dynamic loader finds here, so that an image has what its programs were linked with, and nothing else; one that is missing is an error.
Debian's packages are recorded as in distroless images (var/lib/dpkg/status.d), where scanners look for them. Standard library only; needs ldd, dpkg and strip.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Where LibTorch lies in the image; its libraries find each other from where they are. The worker is linked to look here.
TORCH_HOME = "usr/lib/attune"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
# Opened at run time, so that no header names them: libarchive's file names need the locale.
SYSTEM_FILES = ["/usr/lib/locale/C.utf8/LC_CTYPE", "/etc/os-release", "/etc/debian_version", "/etc/ld.so.conf", "/etc/ld.so.conf.d/x86_64-linux-gnu.conf"]
# Whom the server believes when it fetches an issuer's keys. Not the bundle that update-ca-certificates makes, which holds those of the machine that builds, too.
AUTHORITIES, BUNDLE = pathlib.Path("/usr/share/ca-certificates/mozilla"), "etc/ssl/certs/ca-certificates.crt"
SHELL = "/bin/busybox"
# What the chart's scripts, and a person in the container, need.
APPLETS = """[ basename cat chmod cp cut date df dirname du echo env expr false find free grep gzip gunzip head hostname id kill less ln ls mkdir mktemp mv nproc od pidof printf ps pwd
    readlink rm rmdir sed seq sh sha256sum sleep sort stat sync tail tar tee test timeout top touch tr true uname uniq vi wc which xargs zcat""".split()
# Compiled into our programs, so that no library shows them.
COMPILED_IN = ["libarchive-dev", "nlohmann-json3-dev", "libcli11-dev"]
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nattune:x:10001:10001:Attune:/var/lib/attune:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nattune:x:10001:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# LibTorch's CUDA half opens these itself when something needs them, beside what libtorch_cuda.so is linked with.
CUDA_OPENED = ["torch/lib/libtorch_cuda_linalg.so", "torch/lib/libcaffe2_nvrtc.so"]
CUDA_OPENED_PATTERNS = ["nvidia/cudnn/lib/libcudnn_*.so.*", "nvidia/cu13/lib/libnvrtc-builtins.so.*", "nvidia/cu13/lib/libnvJitLink.so.*"]
# Of the driver, which NVIDIA's container runtime brings along.
OF_THE_DRIVER = {"libcuda.so.1", "libnvidia-ml.so.1"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries_of(program, absent=frozenset()):
    """Paths of all libraries that the loader would load for a program or library. Raises where one is not found, unless it is one of `absent`."""
    found = set()
    for line in run("ldd", str(program)).splitlines():
        name, _, target = line.strip().partition(" => ")
        if "not found" in target:
            if name not in absent:
                raise RuntimeError(f"{program} needs {name}, which is not here")
        elif target:
            found.add(pathlib.Path(target.split(" (")[0]))
        elif name.startswith("/"):
            found.add(pathlib.Path(name.split(" (")[0]))  # the loader
    return found


def package_of(path):
    """The Debian package that a file belongs to. Both names of a merged /usr are tried."""
    for name in (str(path), str(path).removeprefix("/usr"), "/usr" + str(path), os.path.realpath(path), os.path.realpath(path).removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0].split(",")[0]
    raise RuntimeError(f"{path} belongs to no Debian package")


def put(source, target, strip=False):
    """Copies a file, not a link to it; `strip` leaves out what only debuggers read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) or ".so" in target.name else 0o644)
    if strip:
        run("strip", "--strip-all", str(target))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def record(package, root, with_files=True):
    """Version and licence of a Debian package, where scanners and people look for them."""
    # What is not in the image as files would only make scanners look for them.
    if with_files:
        write(root / "var/lib/dpkg/status.d" / package, run("dpkg-query", "-s", package))
    licence = pathlib.Path("/usr/share/doc", package, "copyright")
    if licence.exists():
        put(licence.resolve(), root / "usr/share/doc" / package / "copyright")


def put_torch(paths, libtorch, out):
    for path in sorted(paths):
        inside = path.resolve().relative_to(libtorch)
        # NVIDIA's libraries stay as they are.
        put(path, out / TORCH_HOME / inside, strip=inside.parts[0] == "torch")


def put_licences(distributions, out):
    """What the wheels say of themselves: the licences, and METADATA, from which the SBOM is made."""
    for folder in distributions:
        target = out / "usr/share/doc/attune/wheels" / folder.name
        put(folder / "METADATA", target / "METADATA")
        for text in sorted(folder.rglob("*")):
            if re.search(r"licen[sc]e|notice|copying", text.name, re.I) and text.is_file():
                put(text, target / text.relative_to(folder))


def make_cpu(programs, libtorch, out):
    loaded = set().union(*(libraries_of(program) for program in programs))
    of_torch = {path for path in loaded if path.resolve().is_relative_to(libtorch)}
    put_torch(of_torch, libtorch, out / "torch")
    put_licences([folder for folder in sorted(libtorch.glob("*.dist-info")) if folder.name.startswith(("torch-", "nvidia_cuda_runtime-", "nvidia_cuda_cupti-"))], out / "torch")

    system = out / "system"
    of_debian = (loaded - of_torch) | libraries_of(SHELL)
    for path in of_debian:
        put(path, system / LIBRARIES / path.name)
    packages = {package_of(path) for path in of_debian} | {package_of(SHELL), "base-files", "libc-bin", "ca-certificates"}
    put(SHELL, system / "usr/bin/busybox")
    for applet in APPLETS:
        (system / "usr/bin" / applet).symlink_to("busybox")
    for path in SYSTEM_FILES:
        put(path, system / path.lstrip("/"))
    for package in sorted(packages):
        record(package, system)
    for package in COMPILED_IN:
        record(package, system, with_files=False)
    for name, text in TEXTS.items():
        write(system / name, text)
    authorities = sorted(AUTHORITIES.glob("*.crt"))
    assert authorities, f"no certificates in {AUTHORITIES}"
    write(system / BUNDLE, "".join(path.read_text() for path in authorities))
    (system / "usr/sbin").mkdir()
    loader, = (path.name for path in of_debian if path.name.startswith("ld-linux"))
    (system / "usr/lib64").mkdir()
    (system / "usr/lib64" / loader).symlink_to(f"../lib/x86_64-linux-gnu/{loader}")
    for name in ("bin", "sbin", "lib", "lib64"):
        (system / name).symlink_to(f"usr/{name}")
    for name, mode in {"dev": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755, "root": 0o700, "tmp": 0o1777}.items():
        (system / name).mkdir()
        (system / name).chmod(mode)

    for program in programs:
        put(program, out / "attune/usr/local/bin" / program.name, strip=True)


def make_cuda(libtorch, out):
    roots = [libtorch / "torch/lib/libtorch_cuda.so"] + [libtorch / name for name in CUDA_OPENED]
    opened = [path for pattern in CUDA_OPENED_PATTERNS for path in libtorch.glob(pattern)]
    assert opened, f"no cuDNN under {libtorch}: tools/setup --cuda fetches it"
    loaded = set().union(set(roots), opened, *(libraries_of(path, OF_THE_DRIVER) for path in roots + opened))
    of_torch = {path for path in loaded if path.resolve().is_relative_to(libtorch)}
    cpu = libraries_of(libtorch / "torch/lib/libtorch_cpu.so") | {libtorch / "torch/lib/libtorch_cpu.so"}
    put_torch({path.resolve() for path in of_torch} - {path.resolve() for path in cpu}, libtorch, out)
    put_licences(sorted(libtorch.glob("nvidia_*.dist-info")), out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libtorch", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("programs", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    os.umask(0o022)
    if options.cuda:
        make_cuda(options.libtorch.resolve(), options.out)
    else:
        make_cpu(options.programs, options.libtorch.resolve(), options.out)


if __name__ == "__main__":
    sys.exit(main())
