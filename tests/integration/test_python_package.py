"""The Python package as a stranger gets it: a wheel, installed where nothing else is, against a real server. The code of README.md's section "From Python" is what runs."""
import os
import re
import subprocess
import time
import zipfile

import pytest

import harness
import secure

MAX_LINES = 15  # of code, from the import to the downloaded model


def readme_code():
    with open(os.path.join(harness.SOURCE, "README.md")) as file:
        section = file.read().split("\n## From Python\n")[1].split("\n## ")[0]
    return re.search(r"^```python\n(.*?)^```$", section, re.M | re.S).group(1)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([os.path.join(harness.SOURCE, "client", "python", "build_wheel.sh"), out], check=True, timeout=harness.DEADLINE, env={**os.environ, "ATTUNE_DEPS_DIR": harness.DEPS})
    made, = out.glob("attune_client-*-py3-none-any.whl")
    return made


class Environment:
    """A virtual environment of the system's Python with nothing in it, and a directory in which programs run."""

    def __init__(self, directory):
        self.directory = directory
        subprocess.run(["/usr/bin/python3", "-m", "venv", directory / "venv"], check=True, timeout=harness.DEADLINE)
        self.python = directory / "venv" / "bin" / "python"

    def run(self, *arguments, **environment):
        done = subprocess.run([self.python, *arguments], cwd=self.directory, capture_output=True, text=True, timeout=harness.DEADLINE,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory), **environment})
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self, what):
        """From the wheels that tools/setup has fetched."""
        self.run("-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--find-links", os.path.join(harness.DEPS, "client-wheels"), what)


@pytest.fixture(scope="module")
def clean(tmp_path_factory, tiny_bert):
    made = Environment(tmp_path_factory.mktemp("clean"))
    os.mkdir(made.directory / ".deps")
    os.symlink(os.path.join(harness.DEPS, "minilm"), made.directory / ".deps" / "minilm")
    os.symlink(tiny_bert, made.directory / "tiny")
    (made.directory / "reviews.csv").write_bytes(harness.sentiment_csv(400))
    return made


def test_the_wheel_is_complete(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "attune_client/py.typed" in names and "attune_client/_generated/attune/v1/fine_tuning_job_pb2_grpc.py" in names
    assert "attune_client/_generated/attune/v1/fine_tuning_job_pb2.pyi" in names
    assert re.search(r"^Requires-Dist: grpcio>=\d", metadata, re.M) and re.search(r"^Requires-Dist: protobuf.*>=\d", metadata, re.M)
    assert all(name.startswith(("attune_client/", "attune_client-")) for name in names)


def test_it_is_enough_by_itself(wheel, clean):
    clean.install(str(wheel))
    installed = clean.run("-m", "pip", "--disable-pip-version-check", "freeze").split()
    assert not [line for line in installed if line.startswith(("pandas", "tqdm", "grpcio-tools"))]
    clean.run("-m", "pip", "--disable-pip-version-check", "check")
    clean.run("-W", "error", "-c", "import attune_client; attune_client.Client('127.0.0.1:1').close()")


def test_from_pip_install_to_a_fine_tuned_model(wheel, clean, server):
    """Measure 4."""
    code = readme_code()
    lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= MAX_LINES
    begin = time.monotonic()
    clean.install(f"{wheel}[pandas,progress]")
    installed = time.monotonic()
    output = clean.run("-c", code, ATTUNE_SERVER=server.address)
    print(f"{len(lines)} lines; pip install {installed - begin:.1f} s, fine-tuning {time.monotonic() - installed:.1f} s\n{output}")
    assert float(re.search(r"^accuracy ([\d.]+)$", output, re.M).group(1)) > 0.8
    assert "loss" in output and re.search(r"^\['(negative|positive)'\]$", output, re.M)
    from transformers import AutoModelForSequenceClassification
    assert AutoModelForSequenceClassification.from_pretrained(clean.directory / "my-model").config.num_labels == 2


def test_the_same_code_over_tls_with_a_token(wheel, clean, tmp_path):
    clean.install(f"{wheel}[pandas,progress]")
    with secure.SecureServer(tmp_path / "data", secure.Authority(tmp_path)) as server:
        environment = {"ATTUNE_SERVER": server.address, "ATTUNE_CA_FILE": server.authority.certificate}
        refused = clean.run("-c", REFUSED, **environment)
        assert refused.startswith("UnauthenticatedError") and "authorization: Bearer attune_" in refused
        assert "accuracy" in clean.run("-c", readme_code(), ATTUNE_TOKEN=server.token("team-a", "write"), **environment)


REFUSED = """
from attune_client import AttuneError, Client
try:
    Client().get_job("j1")
except AttuneError as error:
    print(type(error).__name__, error.reason, error)
"""


def test_bad_rows_and_specs_are_named(wheel, clean, server):
    clean.install(str(wheel))
    (clean.directory / "bad.csv").write_bytes(harness.sentiment_csv(40) + b"caf\xe9 is nice,positive\nno label,\n")
    output = clean.run("-c", BAD, ATTUNE_SERVER=server.address)
    rows, spec, missing = output.splitlines()
    assert rows.startswith("InvalidArgumentError") and "bad.csv" in rows and "42" in rows and "UTF-8" in rows, rows
    assert spec.startswith("InvalidArgumentError") and "batch_size" in spec and "learning_rate" in spec, spec
    assert missing.startswith("NotFoundError"), missing


BAD = """
from attune_client import AttuneError, Client
client = Client()
dataset = client.import_dataset("reviews.csv")
model = client.import_model("tiny")
for fail in (lambda: client.import_dataset("bad.csv"),
             lambda: client.create_job(base_model=model.name, dataset=dataset.name, batch_size=-1, learning_rate=-1),
             lambda: client.get_job("nothing")):
    try:
        fail()
    except AttuneError as error:
        print(type(error).__name__, error.reason, [(v.field, v.description) for v in error.violations])
"""


def test_asyncio_runs_jobs_side_by_side(wheel, clean, server):
    clean.install(f"{wheel}[pandas]")
    assert clean.run("-W", "error", "-c", ASYNC, ATTUNE_SERVER=server.address).split() == ["SUCCEEDED", "SUCCEEDED", "CANCELLED", "loss"]


ASYNC = """
import asyncio
from attune_client import AsyncClient, JobFailed

async def main():
    async with AsyncClient() as client:
        model = await client.import_model("tiny", model_id="side-by-side")
        dataset = await client.import_dataset({"train": "reviews.csv"}, validation_fraction=0.2)
        jobs = [await client.create_job(base_model=model.name, dataset=dataset.name, n_epochs=epochs) for epochs in (1, 1, 900)]
        long = jobs.pop()
        await asyncio.gather(*(job.wait() for job in jobs))
        await long.cancel()
        try:
            await long.wait()
        except JobFailed as error:
            await long.refresh()
        print(*(job.state_name for job in [*jobs, long]), "loss" if "loss" in (await jobs[0].metrics()).columns else "")

asyncio.run(main())
"""
