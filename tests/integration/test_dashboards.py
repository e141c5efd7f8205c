"""Every panel of every dashboard, and every rule, asked of a real Prometheus that scrapes a real server, with TLS, tokens and JWTs, while jobs succeed, fail, wait and lose their worker: each finds
what it asks for."""
import os
import re
import subprocess
import sys
import time
import urllib.parse

import harness
import pytest
import secure
import yaml
from harness import Job, job_pb, spec_pb

DEPLOY = os.path.join(harness.SOURCE, "deploy")
sys.path.insert(0, os.path.join(DEPLOY, "grafana"))
import render_panels  # noqa: E402  (the path must be set first)

PROMETHEUS = os.path.join(harness.DEPS, "prometheus", "usr", "bin", "prometheus")
# Plays NVIDIA's library: two GPUs, whatever the machine has.
FAKE_NVML = os.path.join(harness.BUILD, "tests", "server", "metrics", "gpu", "libattune_fake_nvml.so")


class Prometheus:
    def __init__(self, directory, target):
        os.makedirs(directory)
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": {"attune_grafana": "", "attune_docs": ""}},
                  "rule_files": [os.path.join(DEPLOY, "prometheus", name) for name in ("recording.yaml", "alerts.yaml")],
                  "scrape_configs": [{"job_name": "attune", "static_configs": [{"targets": [target]}]}]}
        with open(os.path.join(directory, "prometheus.yml"), "w") as file:
            yaml.safe_dump(config, file)
        self.log_path = os.path.join(directory, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([PROMETHEUS, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data", "--web.listen-address=127.0.0.1:0"],
                                            stdout=log, stderr=log)
        port = None

        def listening():
            nonlocal port
            with open(self.log_path) as file:
                port = re.search(r'msg="Listening on" address=127\.0\.0\.1:(\d+)', file.read())
            return port is not None or self.process.poll() is not None
        harness.wait_until(listening, "Prometheus to listen")
        assert port is not None, open(self.log_path).read()[-3000:]
        self.address = f"http://127.0.0.1:{port.group(1)}"

    def query(self, expression):
        return render_panels.fetch(f"{self.address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")["data"]["result"]

    def stop(self):
        self.process.terminate()
        self.process.wait(harness.DEADLINE)


def work(server, prometheus, directory):
    """Something of everything that is counted."""
    model = server.import_model(harness.make_tiny_bert(os.path.join(directory, "bert")), "tiny-bert").name
    dataset = server.import_dataset(harness.sentiment_csv(64)).name
    spec = dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=8, learning_rate=1e-3), scheduling=spec_pb.SchedulingSpec(project="reviews"))
    # Twice, because a job may end before its project's counters were ever scraped, and what Prometheus sees for the first time is no increase.
    for _ in range(2):
        done = server.wait(server.create_job(model, dataset, **spec).name)
        assert done.state == Job.STATE_SUCCEEDED, done
        harness.wait_until(lambda: prometheus.query('attune_jobs_ended_total{state="succeeded"} > 0'), "the counter of jobs that ended")
    wild = [spec_pb.Phase(name="calm", max_steps=2, learning_rate=1e-4), spec_pb.Phase(name="wild", max_steps=200, learning_rate=0.99)]
    assert server.wait(server.create_job(model, dataset, phases=wild, hyperparameters=spec_pb.Hyperparameters(
        batch_size=8, max_grad_norm=0, optimizer=spec_pb.OPTIMIZER_SGD, momentum=0.99, learning_rate_multiplier=1e30, warmup_ratio=0)).name).state == Job.STATE_FAILED
    long = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1000, batch_size=4, learning_rate=1e-3), checkpointing=spec_pb.CheckpointSpec(save_steps=50))
    waits = server.create_job(model, dataset, **spec)
    server.wait_for_event(long.name, "checkpoint_saved", count=2)
    server.kill_workers()
    server.wait_for_later_attempt(long.name)
    return done, long, waits


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason=f"{PROMETHEUS} is missing: run tools/setup")
def test_every_panel_and_every_rule_finds_what_it_asks_for(tmp_path, monkeypatch):
    os.makedirs(tmp_path / "nvml")
    os.symlink(FAKE_NVML, tmp_path / "nvml" / "libnvidia-ml.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "nvml"))
    issuer = secure.Issuer(tmp_path)
    jwts = ("--jwt-issuer", issuer.url, "--jwt-audience", "attune", "--jwt-jwks", issuer.jwks)
    with secure.SecureServer(str(tmp_path / "data"), secure.Authority(tmp_path), "--metrics-listen", "127.0.0.1:0", *jwts) as server:
        metrics = "127.0.0.1:" + re.search(r'"metrics_port":(\d+)', server.log_text()).group(1)
        begin = time.time()
        prometheus = Prometheus(str(tmp_path / "prometheus"), metrics)
        try:
            done, long, waits = work(server, prometheus, str(tmp_path))
            # Rates need two scrapes of what came last, and rules the scrapes.
            harness.wait_until(lambda: prometheus.query('increase(attune_job_retries_total[1m])') or prometheus.query("attune_job_retries_total"), "the last counter")
            scraped = time.time()
            harness.wait_until(lambda: time.time() > scraped + 4 and prometheus.query("up") != [], "a few more scrapes")
            for late in ('ALERTS{alertname="AttuneLossNotFinite", alertstate="firing"}', "attune:jobs_failed:ratio1h", "attune:rpc_errors:ratio_rate10m"):
                harness.wait_until(lambda: prometheus.query(late), f"{late}, which rules make of what was scraped")
            ids = done.name.split("/")[1]
            lines = []
            empty = render_panels.run(render_panels.Prometheus(prometheus.address, begin, time.time()), render_panels.JobPages(f"http://{metrics}", ids), out=None, say=lines.append)
            print("\n".join(map(str, lines)))
            assert not empty, f"{empty}\n" + "\n".join(map(str, lines))
            for name in ("recording.yaml", "alerts.yaml"):
                with open(os.path.join(DEPLOY, "prometheus", name)) as file:
                    groups = yaml.safe_load(file)["groups"]
                for rule in (rule for group in groups for rule in group["rules"]):
                    found = prometheus.query(rule["expr"])
                    print(f"{name}: {rule.get('record', rule.get('alert'))}: {len(found)} series")
                    assert found or "alert" in rule, rule
            firing = {alert["labels"]["alertname"] for alert in render_panels.fetch(f"{prometheus.address}/api/v1/alerts")["data"]["alerts"] if alert["state"] == "firing"}
            assert not firing & {"AttuneScrapeMissing", "AttuneServerNotReady", "AttuneNoWorkerAlive", "AttuneStoreCommitsFailing", "AttuneCertificateReloadFails", "AttuneIssuerKeysTooOld"}, firing
        finally:
            prometheus.stop()
        server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=long.name))
        server.wait(long.name)
        server.wait(waits.name)
