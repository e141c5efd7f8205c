"""Clients that have a token and no authority connect to nobody. (Those in C++ and Python send it to this machine alone; tests/client has that.)"""
import os
import socket
import subprocess

import pytest

import harness
from test_conformance import LANGUAGES, client


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language not in ("cpp", "python")])
def test_a_token_is_not_sent_in_plain_text(language, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\ngood,a\nbad,b\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = {name: value for name, value in os.environ.items() if name != "ATTUNE_CA_FILE"}
        environment.update(ATTUNE_SERVER=f"127.0.0.1:{listener.getsockname()[1]}", ATTUNE_TOKEN="attune_nobodys_secret", ATTUNE_BASE_MODEL="models/m",
                           ATTUNE_DATASET_FILE=str(rows), ATTUNE_BAD_DATASET_FILE=str(rows))
        done = subprocess.run(client(language), capture_output=True, text=True, timeout=harness.DEADLINE, env=environment)
        assert done.returncode != 0
        assert "plain text" in done.stderr or "transport level security" in done.stderr, done.stderr[-2000:]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come
            listener.accept()
