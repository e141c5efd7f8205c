"""The chart with a real server: it takes the rendered configuration and answers the probes, and the script of `helm test` passes against it and leaves nothing behind."""
import os
import pathlib
import re
import subprocess
import urllib.request

import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

import harness
import secure
from harness import dataset_pb, job_pb, model_pb, spec_pb

CHART = pathlib.Path(harness.SOURCE) / "deploy" / "helm" / "attune"
FILES = CHART / "files" / "test"


def render(folder, values):
    """Every object of the chart by kind and name."""
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    helm = os.path.join(harness.DEPS, "helm", "helm")
    rendered = subprocess.run([helm, "template", "attune", str(CHART), "-f", str(folder / "values.yaml")], capture_output=True, text=True, check=True).stdout
    return {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(rendered) if o}


@pytest.fixture(scope="module")
def chart_server(tmp_path_factory):
    """Started as in the pod, but for the places: what flags say wins over the file."""
    folder = tmp_path_factory.mktemp("chart")
    objects = render(folder, {"config": {"job_slots": 1, "max_upload_bytes": 1 << 40, "log_level": "debug", "feature_cache_bytes": 1 << 30, "drain_grace_seconds": 5}})
    (folder / "attune.yaml").write_text(objects["ConfigMap", "attune"]["data"]["attune.yaml"])
    with harness.Server(folder / "data", "--config", str(folder / "attune.yaml"), "--metrics-listen", "127.0.0.1:0") as server:
        yield server


def probed_services():
    """What the probes of the plain manifests, which are the chart's, ask for; empty for the server as a whole."""
    container = yaml.safe_load((CHART.parents[1] / "k8s" / "statefulset.yaml").read_text())["spec"]["template"]["spec"]["containers"][0]
    return {probe: container[probe]["grpc"].get("service", "") for probe in ("startupProbe", "readinessProbe", "livenessProbe")}


@pytest.fixture
def pod_files(tmp_path):
    """The files where the pod has them."""
    (tmp_path / "model").mkdir()
    for path in FILES.iterdir():
        target = tmp_path / "model" if path.name in ("config.json", "tokenizer.json", "model.safetensors") else tmp_path
        (target / path.name).write_bytes(path.read_bytes())
    return tmp_path


def start(folder, address, **credentials):
    environment = {**os.environ, "PATH": f"{os.path.dirname(harness.CLI)}:/usr/bin:/bin", "ATTUNE_SERVER": address, **credentials}
    return subprocess.Popen(["/bin/sh", str(folder / "run.sh"), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def run(folder, address, **credentials):
    """Exit code and output."""
    process = start(folder, address, **credentials)
    output, _ = process.communicate(timeout=harness.DEADLINE)
    return process.returncode, output


def left(server):
    return (len(server.models.ListModels(model_pb.ListModelsRequest()).models), len(server.datasets.ListDatasets(dataset_pb.ListDatasetsRequest()).datasets),
            len(server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs))


def test_the_chart_test_passes_and_cleans_up(chart_server, pod_files):
    for _ in range(2):
        code, output = run(pod_files, chart_server.address)
        assert code == 0 and "All of it worked" in output, output
        assert left(chart_server) == (0, 0, 0)


def test_it_fails_without_a_server(pod_files):
    code, output = run(pod_files, "127.0.0.1:1")
    assert code != 0 and "All of it worked" not in output


def test_it_fails_with_a_broken_model_and_cleans_up(chart_server, pod_files):
    weights = pod_files / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, output = run(pod_files, chart_server.address)
    assert code != 0 and "All of it worked" not in output
    assert left(chart_server) == (0, 0, 0)


def test_it_cleans_up_when_its_pod_is_stopped(chart_server, pod_files):
    """Behind a job that has the only slot, the test waits until its time is over."""
    model = chart_server.import_model(pod_files / "model", "busy").name
    dataset = chart_server.import_dataset(harness.sentiment_csv(4000)).name
    long = chart_server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1000)).name
    process = start(pod_files, chart_server.address)
    try:
        for line in process.stdout:
            if "waiting" in line or "QUEUED" in line:
                break
        process.terminate()
        output, _ = process.communicate(timeout=harness.DEADLINE)
        assert process.returncode == 143, output
        assert left(chart_server) == (1, 1, 1)
        assert chart_server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=long)).state == harness.Job.STATE_RUNNING
    finally:
        process.kill()
        chart_server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=long))
        chart_server.wait(long)
        chart_server.jobs.DeleteFineTuningJob(job_pb.DeleteFineTuningJobRequest(name=long))
        chart_server.datasets.DeleteDataset(dataset_pb.DeleteDatasetRequest(name=dataset))
        chart_server.models.DeleteModel(model_pb.DeleteModelRequest(name=model))


def test_probes_are_answered_and_readiness_ends_with_the_drain(own_server):
    health = health_pb2_grpc.HealthStub(own_server.channel)
    for probe, service in probed_services().items():
        status = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=harness.DEADLINE).status
        assert status == health_pb2.HealthCheckResponse.SERVING, probe
    seen = health.Watch(health_pb2.HealthCheckRequest(service=probed_services()["readinessProbe"]), timeout=harness.DEADLINE)
    assert next(seen).status == health_pb2.HealthCheckResponse.SERVING
    own_server.process.terminate()
    assert next(seen).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert own_server.process.wait(harness.DEADLINE) == 0


class ChartServer(secure.SecureServer):
    """TLS, auth, rules and quotas as the chart's file says; its volume is a folder here."""

    def __init__(self, folder, authority):
        objects = render(folder, {
            "tls": {"secretName": "attune-tls", "clientCertificates": "request"},
            "config": {"auth": "required", "allow_insecure_network": False, "certificate_rules_file": "/etc/attune/files/rules", "quotas_file": "/etc/attune/files/quotas.yaml"},
            "files": {"rules": "uri:spiffe://cluster/ci/*  ci  write\n", "quotas.yaml": "default: {uploads: 1}\n"}})
        self.pod = objects["StatefulSet", "attune"]["spec"]["template"]["spec"]
        volume = folder / "etc"
        certificate, key = (pathlib.Path(path) for path in authority.sign("server"))
        secret = {"tls.crt": certificate.read_text(), "tls.key": key.read_text(), "ca.crt": pathlib.Path(authority.certificate).read_text()}
        for source in next(v for v in self.pod["volumes"] if v["name"] == "config")["projected"]["sources"]:
            content = secret if "secret" in source else objects["ConfigMap", source["configMap"]["name"]]["data"]
            said = source.get("secret") or source["configMap"]
            for item in said.get("items", [{"key": key, "path": key} for key in content]):
                (volume / item["path"]).parent.mkdir(parents=True, exist_ok=True)
                (volume / item["path"]).write_text(content[item["key"]].replace("/etc/attune/", f"{volume}/"))
        self.authority, self.secrets = authority, []
        harness.Server.__init__(self, folder / "data", "--config", str(volume / "attune.yaml"), "--metrics-listen", "127.0.0.1:0")


@pytest.fixture(scope="module")
def secure_chart_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secure-chart")
    with ChartServer(folder, secure.Authority(tmp_path_factory.mktemp("authority"))) as server:
        yield server


def test_with_tls_the_chart_test_needs_a_credential(secure_chart_server, pod_files):
    server = secure_chart_server
    (pod_files / "token").write_text(server.token("ci", "write") + "\n")

    def shown(name, uri):
        certificate, key = server.authority.sign(name, san=f"URI:{uri}")
        return {"ATTUNE_CLIENT_CERTIFICATE_FILE": certificate, "ATTUNE_CLIENT_KEY_FILE": key}

    authority = {"ATTUNE_CA_FILE": server.authority.certificate}
    for credential in ({"ATTUNE_TOKEN_FILE": str(pod_files / "token")}, shown("chart-test", "spiffe://cluster/ci/chart")):
        code, output = run(pod_files, server.address, **authority, **credential)
        assert code == 0 and "All of it worked" in output, output
    for credential in ({}, shown("stranger", "spiffe://cluster/web/shop")):
        code, output = run(pod_files, server.address, **authority, **credential)
        assert code == 4 and "All of it worked" not in output, output
    server.as_caller(server.admin_token)
    assert left(server) == (0, 0, 0)


def test_with_tls_probes_are_answered_beside_the_metrics(secure_chart_server):
    port = re.search(r'"metrics_port":(\d+)', secure_chart_server.log_text()).group(1)
    container = secure_chart_server.pod["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{container[probe]['httpGet']['path']}", timeout=harness.DEADLINE) as reply:
            assert reply.status == 200
