"""The figures of a real server: what a scrape shows after jobs that succeed, fail and are killed, that it stays small and quick, and a job's curves as JSON."""
import json
import re
import signal
import threading
import urllib.error
import urllib.request

import pytest

import harness
from harness import Job, spec_pb


@pytest.fixture
def served(tmp_path):
    server = harness.Server(str(tmp_path / "data"), "--metrics-listen", "127.0.0.1:0")
    server.start()
    yield server
    server.stop()


def get(server, path):
    port = re.search(r'"metrics_port":(\d+)', server.log_text()).group(1)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return reply.read().decode()


def scrape(server):
    """{series: value}"""
    series = {}
    for line in get(server, "/metrics").splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            series[name] = float(value)
    return series


def total(series, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for key, value in series.items() if key.split("{")[0] == name and all(text in key for text in wanted))


def test_jobs_that_succeed_fail_and_lose_their_worker_are_counted(served, tmp_path):
    model = served.import_model(harness.make_tiny_bert(str(tmp_path / "bert")), "tiny-bert").name
    dataset = served.import_dataset(harness.sentiment_csv(64)).name
    quick = dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=8, learning_rate=1e-3))
    done = served.wait(served.create_job(model, dataset, **quick).name)
    assert done.state == Job.STATE_SUCCEEDED, done
    wild = [spec_pb.Phase(name="calm", max_steps=2, learning_rate=1e-4), spec_pb.Phase(name="wild", max_steps=200, learning_rate=0.99)]
    bad = served.wait(served.create_job(model, dataset, phases=wild, hyperparameters=spec_pb.Hyperparameters(
        batch_size=8, max_grad_norm=0, optimizer=spec_pb.OPTIMIZER_SGD, momentum=0.99, learning_rate_multiplier=1e30, warmup_ratio=0)).name)
    assert bad.state == Job.STATE_FAILED, bad
    long = served.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=400, batch_size=8, learning_rate=1e-3),
                             checkpointing=spec_pb.CheckpointSpec(save_steps=20))
    served.wait_for_event(long.name, "checkpoint_saved", count=2)
    served.kill_workers()
    served.wait_for_later_attempt(long.name)
    served.jobs.CancelFineTuningJob(harness.job_pb.CancelFineTuningJobRequest(name=long.name))
    served.wait(long.name)
    series = scrape(served)
    assert series['attune_worker_exits_total{reason="crashed"}'] == 0, "there before the first"
    assert total(series, "attune_jobs_created_total") == 3
    assert total(series, "attune_jobs_ended_total", state="succeeded") == 1
    assert total(series, "attune_jobs_ended_total", state="failed", fault="user") == 1
    assert total(series, "attune_jobs_ended_total", state="cancelled") == 1
    assert total(series, "attune_jobs_not_finite_total") == 1
    assert total(series, "attune_job_retries_total", reason="killed") in (1, 2)
    assert total(series, "attune_worker_exits_total", reason="killed") >= 1
    steps, samples = total(series, "attune_training_steps_total", architecture="bert"), total(series, "attune_training_samples_total", architecture="bert")
    assert steps >= done.progress.step and samples > steps, (steps, samples)
    assert 0 < total(series, "attune_training_input_wait_seconds_total") < total(series, "attune_training_step_seconds_total")
    assert total(series, "attune_checkpoint_bytes_count") >= 3
    assert total(series, "attune_store_commit_seconds_count") > 0
    assert total(series, "attune_ready") == 1
    assert total(series, "attune_stored_bytes", kind="database") > 0, "measured at the start, and then each minute"
    for line in get(served, "/metrics").splitlines():
        for name in (done.name, bad.name, long.name, model, dataset):
            assert name.split("/")[1] not in line, "no id may be a label"


def test_curves_of_a_job(served, tmp_path):
    model = served.import_model(harness.make_tiny_bert(str(tmp_path / "bert")), "tiny-bert").name
    dataset = served.import_dataset(harness.sentiment_csv(64)).name
    done = served.wait(served.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=8, learning_rate=1e-3)).name)
    jobs = json.loads(get(served, "/jobs"))
    assert [job["job"] for job in jobs] == [done.name] and jobs[0]["state"] == "SUCCEEDED"
    points = json.loads(get(served, f"/jobs/{done.name.split('/')[1]}/metrics"))
    losses = [point["loss"] for point in points if "loss" in point]
    assert len(losses) == done.progress.step and all(loss > 0 for loss in losses)
    assert any("eval_accuracy" in point for point in points)
    with pytest.raises(urllib.error.HTTPError) as error:
        get(served, "/jobs/none/metrics")
    assert error.value.code == 404


def test_probes_over_http(served):
    """What the kubelet asks where the API has TLS. A stopping server is alive, and takes no new calls."""
    assert get(served, "/healthz") == "ok\n" and get(served, "/readyz") == "ok\n"
    name = served.uploads.CreateUpload(harness.upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=2)).name
    hold = threading.Event()

    def chunks():
        yield harness.upload_pb.WriteUploadRequest(name=name, data=b"a")
        hold.wait()

    call = served.uploads.WriteUpload.future(chunks())  # keeps the shutdown waiting
    served.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            return get(served, "/readyz") == ""
        except urllib.error.HTTPError as error:
            return error.code == 503

    harness.wait_until(refused, "the server not to be ready")
    assert get(served, "/healthz") == "ok\n"
    hold.set()
    call.exception()
