"""A worker whose code a tenant's data has taken over, against what the kernel lets it do; and real workers, which still do all that they must."""
import os
import re
import socket

import pytest

import harness
from harness import common_pb, prediction_pb, spec_pb, system_pb

HOSTILE = os.path.join(harness.BUILD, "tests", "integration", "hostile_worker", "attune-hostile-worker")
REAL = os.path.join(harness.BUILD, "server", "main", "attune-worker")
Sandbox = system_pb.WorkerSandbox
REFUSED = ("Permission denied", "Operation not permitted")


def sandbox_of(server):
    return server.system.GetServerInfo(system_pb.GetServerInfoRequest()).worker_sandbox


@pytest.fixture(scope="module")
def victim(tmp_path_factory, tiny_bert):
    """The data directory of a server on which one team has trained, and another has a dataset that attacks."""
    data = tmp_path_factory.mktemp("server") / "data"
    with harness.Server(data) as server:
        if sandbox_of(server).level != Sandbox.LEVEL_FULL:
            pytest.skip(f"this kernel has no full sandbox: {sandbox_of(server).missing}")
        names = {"model": server.import_model(tiny_bert, "tiny-bert").name,
                 "theirs": server.import_dataset(harness.sentiment_csv(120), test_fraction=0.2, dataset_id="theirs").name,
                 "mine": server.import_dataset(harness.sentiment_csv(120, seed=1), test_fraction=0.2, dataset_id="mine").name}
        names["job"] = server.create_job(names["model"], names["theirs"], hyperparameters=spec_pb.Hyperparameters(n_epochs=1)).name
        job = server.wait(names["job"])
        assert job.state == harness.Job.STATE_SUCCEEDED
        names["best"] = job.best_checkpoint
        names["user"] = sandbox_of(server).user
    return data, names


def attack(victim, monkeypatch, sandbox, stranger):
    """What the hostile worker says of each attempt, and the parts of its job's directory."""
    data, names = victim
    monkeypatch.setenv("ATTUNE_REAL_WORKER", REAL)
    dataset = data / "datasets" / "mine"
    weights = data / "jobs" / names["job"].split("/")[1] / "checkpoints" / f"step-{names['best'].split('/')[-1]}" / "model.safetensors"
    assert weights.exists() and (data / "datasets" / "theirs" / "rows.bin").exists()
    for link in ("weights", "folder"):
        if not (dataset / link).is_symlink():
            (dataset / link).symlink_to(weights if link == "weights" else weights.parent)
    with harness.Server(data, "--worker-binary", HOSTILE, "--worker-sandbox", sandbox) as server:
        attempts = [f"read {data}/datasets/theirs/rows.bin", f"read {weights}", f"read {dataset}/weights", f"read {dataset}/folder/model.safetensors", f"read {dataset}/../theirs/rows.bin",
                    f"read {data}/attune.db", f"read /proc/{server.process.pid}/environ", f"write {data}/jobs/planted", f"write {dataset}/rows.bin", "link /etc/passwd", "run /bin/true",
                    f"dial {stranger}", f"signal {server.process.pid}", "read /etc/passwd",
                    f"read {dataset}/rows.bin", f"read {data}/models/tiny-bert/config.json"]
        (dataset / "attempts").write_text("\n".join(attempts) + "\n")
        job = server.wait(server.create_job(names["model"], names["mine"]).name)
        assert job.state == harness.Job.STATE_FAILED, job
        server.jobs.DeleteFineTuningJob(harness.job_pb.DeleteFineTuningJobRequest(name=job.name))
    said = dict(line.rsplit(": ", 1) for line in job.error.message.strip().split("\n"))
    assert set(attempts) < set(said), job.error.message
    return attempts, said


@pytest.fixture
def stranger():
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_worker_that_was_taken_over_reaches_nothing_of_others(victim, monkeypatch, stranger):
    attempts, said = attack(victim, monkeypatch, "required", stranger)
    for attempt in attempts[:-2] + ["early thread"]:
        assert said[attempt] in REFUSED, (attempt, said[attempt])
    for attempt in attempts[-2:]:
        assert said[attempt] == "done", (attempt, said[attempt])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as somebody else")
def test_workers_of_root_are_somebody_else(victim):
    data, names = victim
    assert names["user"] == "nobody"
    files = list((data / "jobs" / names["job"].split("/")[1] / "checkpoints").rglob("*.safetensors"))
    assert files and all(path.owner() == "nobody" for path in files)


def test_without_the_sandbox_it_would_reach_everything(victim, monkeypatch, stranger):
    attempts, said = attack(victim, monkeypatch, "off", stranger)
    assert all(said[attempt] == "done" for attempt in attempts), said
    (victim[0] / "jobs" / "planted").unlink()


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_real_workers_are_shut_in_and_the_server_says_so(tmp_path):
    with harness.Server(tmp_path / "data") as server:
        told = sandbox_of(server)
        if told.level != Sandbox.LEVEL_FULL:
            pytest.skip(f"this kernel has no full sandbox: {told.missing}")
        assert told.landlock_version >= 3 and told.system_call_filter and not told.missing
        assert re.search(r'"workers\' sandbox","level":"full"|workers\' sandbox.*full', server.log_text())
        assert "full (Landlock" in harness.cli(server, "server", "info").stdout
        harness.wait_until(lambda: server.system.GetServerInfo(system_pb.GetServerInfoRequest()).idle_workers > 0, "an idle worker")
        for pid in harness.worker_pids(server):
            status = status_of(pid)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
            assert int(status["CapEff"], 16) & ~0b110 == 0, status["CapEff"]
            with open(f"/proc/{pid}/limits") as file:
                assert re.search(r"Max core file size\s+0\s+0", file.read())
            with open(f"/proc/{pid}/environ", "rb") as file:
                secret = [entry for entry in file.read().split(b"\0") if entry.startswith(b"ATTUNE_WORKER_SECRET=")]
            assert secret and set(secret[0].split(b"=", 1)[1]) == {ord("x")}


def test_predictions_of_several_checkpoints_take_turns(victim):
    data, names = victim
    with harness.Server(data) as server:
        steps = [names["best"]]
        second = server.wait(server.create_job(names["model"], names["theirs"], hyperparameters=spec_pb.Hyperparameters(n_epochs=1)).name)
        assert second.state == harness.Job.STATE_SUCCEEDED, second
        steps.append(second.best_checkpoint)
        ask = lambda checkpoint: server.prediction.Predict(prediction_pb.PredictRequest(checkpoint=checkpoint, inputs=[common_pb.TextInput(text="a good film")]), timeout=harness.DEADLINE)
        answers = {checkpoint: ask(checkpoint) for checkpoint in steps}
        for checkpoint in steps * 2:
            assert ask(checkpoint) == answers[checkpoint]
