"""deploy/grafana/render_panels.py against a stand-in for Prometheus and the server's JSON pages."""
import http.server
import json
import subprocess
import sys
import threading
import urllib.parse

import pytest

import chart

SCRIPT = chart.SOURCE / "deploy" / "grafana" / "render_panels.py"
STEPS = [{"step": 2, "loss": 0.5, "eval_loss": 0.6, "eval_accuracy": 0.75}, {"step": 1, "loss": 0.9, "learning_rate": 1e-4, "grad_norm": 1.5, "samples_per_second": 50, "input_wait": 0.01}]
PAGES = {"/jobs": [{"job": "fineTuningJobs/j7", "display_name": "reviews", "state": "RUNNING"}], "/jobs/j7/metrics": STEPS}


@pytest.fixture
def stand_in():
    asked = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlparse(self.path)
            if url.path == "/api/v1/query_range":
                query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
                asked.append(query)
                series = [] if "gpu" in query["query"] else [{"metric": {"instance": "a:1"}, "values": [[float(query["start"]), "1"], [float(query["end"]), "42"]]}]
                found = {"status": "success", "data": {"resultType": "matrix", "result": series}}
            else:
                found = PAGES.get(url.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def render(*args):
    return subprocess.run([sys.executable, "-B", SCRIPT, *map(str, args)], capture_output=True, text=True, timeout=chart.DEADLINE)


def test_panels_are_drawn_and_listed(stand_in, tmp_path):
    address, asked = stand_in
    done = render("--prometheus", address, "--jobs", address, "--last", "1h", "--only", "attune-storage", "attune-job", "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attune-job.png", "attune-storage.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
    lines = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    assert lines["attune-storage: Free"].endswith("1 series  a:1 42")
    # In the order of steps, and of evaluations only the rows that have one.
    assert lines["attune-job: Loss"].endswith("2 series  loss 0.5, eval_loss 0.6") and lines["attune-job: Evaluation"].endswith("1 series  eval_accuracy 0.75")
    assert not any("$" in query["query"] for query in asked)
    assert all(abs(float(q["end"]) - float(q["start"]) - 3600) < 1 for q in asked)


def test_panels_without_series_are_named(stand_in):
    address, _ = stand_in
    done = render("--prometheus", address, "--only", "attune-workers", "--out", "")
    # No job of the learning curves is asked for, and nothing is drawn.
    assert done.returncode == 1 and "no series: attune-workers: Temperature" in done.stderr and "Bad ends" not in done.stderr
    done = render("--prometheus", address, "--only", "attune-workers", "--out", "", "--may-be-empty", "Utilisation|Memory used|Temperature|Power|GPUs")
    assert done.returncode == 0, done.stderr
    done = render("--prometheus", address, "--only", "attune-job", "--out", "")
    assert done.returncode == 0 and "attune-job: Loss" in done.stdout and "not asked" in done.stdout
