"""What a client of the scenario meets: a server with TLS, tokens and one tenant, a base model and two files. Everything in temporary directories, port 0.

    with World(tmp_path, bert) as world:
        output = world.run(["client/examples/go/run"])
        checks.check(world, output)
"""
import json
import os
import re
import subprocess
import sys
import urllib.request

import harness
import secure

ROWS, BAD_LINE = 400, 42
CLASSES = ("negative", "positive")
# Weights of 39 MB: more than the 16 MB to which a connection's window may grow while a slow client has one piece in hand, so that the server is still sending when a download is cut.
BERT = dict(hidden_size=256, intermediate_size=1024, vocab_size=32000)
# The first run of an example fetches and compiles what it is made of.
BUILD_SECONDS = 1500


def bad_csv():
    """A row without a label on line BAD_LINE; the header is line 1."""
    lines = harness.sentiment_csv(2 * BAD_LINE, labels=CLASSES).decode().splitlines()
    lines[BAD_LINE - 1] = lines[BAD_LINE - 1].split(",")[0] + ","
    return ("\n".join(lines) + "\n").encode()


class World:
    def __init__(self, directory, bert):
        self.bert = bert
        self.dataset_file, self.bad_dataset_file = directory / "reviews.csv", directory / "bad.csv"
        self.dataset_file.write_bytes(harness.sentiment_csv(ROWS, labels=CLASSES))
        self.bad_dataset_file.write_bytes(bad_csv())
        self.server = secure.SecureServer(directory / "data", secure.Authority(directory), "--metrics-listen", "127.0.0.1:0")

    def __enter__(self):
        self.server.__enter__()
        try:
            self.token = self.server.token("team-a", "write")
            self.server.as_caller(self.token)
            self.model = self.server.import_model(self.bert, "conformance-bert").name
            self.before = self._calls()
        except BaseException:
            self.server.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def environment(self):
        return {"ATTUNE_SERVER": self.server.address.replace("127.0.0.1", "localhost"), "ATTUNE_CA_FILE": self.server.authority.certificate, "ATTUNE_TOKEN": self.token,
                "ATTUNE_BASE_MODEL": self.model, "ATTUNE_DATASET_FILE": str(self.dataset_file), "ATTUNE_BAD_DATASET_FILE": str(self.bad_dataset_file),
                # What tools/setup has fetched: this interpreter has what the example in Python needs, in the versions of its requirements.txt.
                "PYTHON": sys.executable, "GOMODCACHE": os.path.join(harness.DEPS, "go-modules"), "GOFLAGS": "-modcacherw"}

    def run(self, command):
        """What a client writes to stdout while it does the scenario. Fails when the client does."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=harness.DEADLINE + BUILD_SECONDS, env={**os.environ, **self.environment()})
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-5000:]}"
        return done.stdout

    def calls(self):
        """{(method, code): calls of the client that ended so}, methods as "DatasetService/ImportDataset"."""
        return {key: count - self.before.get(key, 0) for key, count in self._calls().items()}

    def _calls(self):
        port = re.search(r'"metrics_port":(\d+)', self.server.log_text()).group(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            series = re.findall(r'^attune_rpc_total\{code="(\w+)",method="attune\.v1\.([\w/]+)"\} (\S+)$', reply.read().decode(), re.M)
        return {(method, code): int(float(count)) for code, method, count in series}

    def audit(self):
        """[(method, resource, code)] of the tenant's changes, oldest first."""
        with open(os.path.join(self.server.data_dir, "audit", "audit.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        return [(line["method"].split("/")[1], line["resource"], line["code"]) for line in lines if line["credential"] == self.token.split("_")[1]]
