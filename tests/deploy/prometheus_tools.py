"""promtool and amtool: $PROMTOOL or $AMTOOL, else what tools/setup unpacked, else the one on the PATH."""
import functools
import os
import shutil
import subprocess
import tempfile

import yaml

import chart


@functools.cache
def program(name):
    unpacked = chart.DEPS / "prometheus" / "usr" / "bin" / name
    found = os.environ.get(name.upper()) or (str(unpacked) if unpacked.exists() else shutil.which(name))
    assert found, f"no {name} in {unpacked}: run `make setup`, or name one in {name.upper()}"
    return found


def run(name, *args):
    return subprocess.run([program(name), *map(str, args)], capture_output=True, text=True, timeout=2 * chart.DEADLINE)


def parse_faults(expressions):
    """What promtool says of expressions that do not parse; "" where all do. They become recording rules, because that is what it checks."""
    rules = [{"record": f"test:expression:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]}, file)
        file.flush()
        done = run("promtool", "check", "rules", file.name)
    return "" if done.returncode == 0 else done.stdout + done.stderr
