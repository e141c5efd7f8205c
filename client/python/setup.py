"""Generates the stubs before the package is built, and says what they need; everything else is in pyproject.toml."""
import importlib.metadata
import os
import re
import subprocess
import sys

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))


def dependencies():
    """Generated code refuses a runtime that is older than its generator; grpcio-tools names the protobuf that its generator goes with."""
    protobuf = next(line for line in importlib.metadata.requires("grpcio-tools") if re.match(r"protobuf\b", line))
    return [f"grpcio>={importlib.metadata.version('grpcio-tools')}", protobuf, "googleapis-common-protos>=1.66"]


# Here and not as a step of the build: the metadata, which come first, already list the packages.
subprocess.run([os.path.join(HERE, "generate.sh")], check=True, env={**os.environ, "PYTHON": sys.executable})
setup(install_requires=dependencies())
