"""The chart with a real server: it takes the rendered configuration, and the script of `helm test` passes against it and leaves nothing behind."""
import os
import pathlib
import subprocess

import pytest
import yaml

import harness
from harness import dataset_pb, job_pb, model_pb

CHART = pathlib.Path(harness.SOURCE) / "deploy" / "helm" / "attune"
FILES = CHART / "files" / "test"


@pytest.fixture(scope="module")
def chart_server(tmp_path_factory):
    """Started as in the pod, but for the places: what flags say wins over the file."""
    folder = tmp_path_factory.mktemp("chart")
    helm = os.path.join(harness.DEPS, "helm", "helm")
    values = {"config": {"job_slots": 1, "max_upload_bytes": 1 << 40, "log_level": "debug", "feature_cache_bytes": 1 << 30, "drain_grace_seconds": 5}}
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    rendered = subprocess.run([helm, "template", "attune", str(CHART), "-f", str(folder / "values.yaml"), "--show-only", "templates/configmap.yaml"],
                              capture_output=True, text=True, check=True).stdout
    (folder / "attune.yaml").write_text(yaml.safe_load(rendered)["data"]["attune.yaml"])
    with harness.Server(folder / "data", "--config", str(folder / "attune.yaml"), "--metrics-listen", "127.0.0.1:0") as server:
        yield server


@pytest.fixture
def test_folder(tmp_path):
    """The files where the pod has them."""
    (tmp_path / "model").mkdir()
    for path in FILES.iterdir():
        target = tmp_path / "model" if path.name in ("config.json", "tokenizer.json", "model.safetensors") else tmp_path
        (target / path.name).write_bytes(path.read_bytes())
    return tmp_path


def run(folder, address):
    environment = {**os.environ, "PATH": f"{os.path.dirname(harness.CLI)}:/usr/bin:/bin", "ATTUNE_SERVER": address}
    return subprocess.run(["/bin/sh", str(folder / "run.sh"), str(folder)], capture_output=True, text=True, timeout=harness.DEADLINE, env=environment)


def left(server):
    return (len(server.models.ListModels(model_pb.ListModelsRequest()).models), len(server.datasets.ListDatasets(dataset_pb.ListDatasetsRequest()).datasets),
            len(server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs))


def test_the_chart_test_passes_and_cleans_up(chart_server, test_folder):
    for _ in range(2):
        done = run(test_folder, chart_server.address)
        assert done.returncode == 0 and "All of it worked" in done.stdout, done.stdout + done.stderr
        assert left(chart_server) == (0, 0, 0)


def test_it_fails_without_a_server(test_folder):
    done = run(test_folder, "127.0.0.1:1")
    assert done.returncode != 0 and "All of it worked" not in done.stdout


def test_it_fails_with_a_broken_model_and_cleans_up(chart_server, test_folder):
    weights = test_folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = run(test_folder, chart_server.address)
    assert done.returncode != 0 and "All of it worked" not in done.stdout
    assert left(chart_server) == (0, 0, 0)
