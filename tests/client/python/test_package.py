"""The package as a whole: types, one text for both clients, documentation, metadata."""
import inspect
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import attune_client
from attune_client import AsyncClient, AsyncJob, Client, Job

SOURCE = pathlib.Path(os.environ["ATTUNE_SOURCE_DIR"]) / "client" / "python"
PACKAGE = pathlib.Path(attune_client.__file__).parent


def mypy(directory):
    return subprocess.run([sys.executable, "-m", "mypy", "--config-file", SOURCE / "pyproject.toml", "--cache-dir", directory / ".mypy_cache"], cwd=directory, capture_output=True, text=True)


def test_types(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "attune_client")
    done = mypy(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(tmp_path / "attune_client" / "names.py", "w") as file:
        file.write("from attune_client import Client\n\n\ndef f(client: Client) -> int:\n    return client.get_job('j').name\n")
    done = mypy(tmp_path)
    assert done.returncode == 1 and "names.py:5: error" in done.stdout, done.stdout
    assert (PACKAGE / "py.typed").exists()


def test_both_clients_are_one_text(tmp_path):
    check = [sys.executable, SOURCE / "make_sync.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    shutil.copytree(PACKAGE, tmp_path / "attune_client")
    shutil.copy(SOURCE / "make_sync.py", tmp_path)
    with open(tmp_path / "attune_client" / "_async" / "jobs.py", "a") as file:
        file.write("\n\nasync def added() -> None:\n    pass\n")
    check[1] = tmp_path / "make_sync.py"
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 1 and "_sync/jobs.py" in done.stdout
    subprocess.run(check[:2], check=True)
    assert "\ndef added() -> None:\n" in (tmp_path / "attune_client" / "_sync" / "jobs.py").read_text()


def public(kind):
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_") and callable(member)}


@pytest.mark.parametrize("synchronous, asynchronous", [(Client, AsyncClient), (Job, AsyncJob)])
def test_both_have_the_same_methods(synchronous, asynchronous):
    ours, theirs = public(synchronous), public(asynchronous)
    assert set(ours) == set(theirs) and len(ours) > 8
    for name, method in ours.items():
        assert [p.replace(annotation=None) for p in inspect.signature(method).parameters.values()] == \
               [p.replace(annotation=None) for p in inspect.signature(theirs[name]).parameters.values()], name
        assert not inspect.iscoroutinefunction(method), name
        assert inspect.iscoroutinefunction(theirs[name]) or inspect.isasyncgenfunction(theirs[name]) or name == "watch", name


def test_everything_public_is_documented():
    self_explaining = {"close", "resume_job", "cancel", "pause", "resume", "ended", "progressed"}
    for exported in (getattr(attune_client, name) for name in attune_client.__all__):
        assert inspect.getdoc(exported), exported
        for name, member in vars(exported).items() if inspect.isclass(exported) else ():
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member) or name in self_explaining, (exported, name)
    for kind in (Client, AsyncClient):
        for name, member in public(kind).items():
            assert inspect.getdoc(member) or name in self_explaining, name


def test_every_message_of_the_api_is_in_v1():
    for proto in (SOURCE.parent.parent / "proto" / "attune" / "v1").glob("*.proto"):
        for line in proto.read_text().splitlines():
            if line.startswith(("message ", "enum ")):
                assert hasattr(attune_client.v1, line.split()[1]), f"{proto.name}: {line}"
