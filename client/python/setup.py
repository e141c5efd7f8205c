"""Generates the stubs before the package is built; everything else is in pyproject.toml."""
import os
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = os.path.dirname(os.path.abspath(__file__))


class GenerateThenBuild(build_py):
    def run(self):
        subprocess.run([os.path.join(HERE, "generate.sh")], check=True, env={**os.environ, "PYTHON": sys.executable})
        super().run()


setup(cmdclass={"build_py": GenerateThenBuild})
