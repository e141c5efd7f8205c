import asyncio
import builtins
import math

import pytest

from attune_client import AsyncClient, AsyncJob, Job, v1
from test_client import event


def points():
    return [v1.MetricPoint(step=1, epoch=0.5, phase="head", values={"loss": 0.7, "learning_rate": 1e-3}), v1.MetricPoint(step=2, epoch=1, phase="head", values={"loss": 0.5}),
            v1.MetricPoint(step=2, epoch=1, phase="head", values={"eval_loss": 0.6}), v1.MetricPoint(step=3, epoch=0.5, phase="all", values={"loss": 0.4}),
            v1.MetricPoint(step=4, epoch=1, phase="all", values={"loss": 0.3})]


def test_a_job_reads_like_its_message(server, client):
    server.jobs.job.best_checkpoint = "fineTuningJobs/j1/checkpoints/30"
    server.jobs.job.test_evaluation.values["accuracy"] = 0.9
    job = client.get_job("j1")
    assert isinstance(job, Job) and (job.name, job.best_checkpoint) == ("fineTuningJobs/j1", "fineTuningJobs/j1/checkpoints/30")
    assert job.test_evaluation.values["accuracy"] == 0.9 and job.state == v1.FineTuningJob.STATE_SUCCEEDED
    assert job.ended and repr(job) == "<Job fineTuningJobs/j1: SUCCEEDED>"
    with pytest.raises(AttributeError, match="best_chekpoint"):
        job.best_chekpoint


def test_fields_are_those_of_the_message():
    annotated = set(Job.__annotations__) | set(AsyncJob.__annotations__)
    assert annotated <= set(v1.FineTuningJob.DESCRIPTOR.fields_by_name)
    methods = {name for name in dir(Job) if not name.startswith("_")}
    assert not methods & set(v1.FineTuningJob.DESCRIPTOR.fields_by_name)


def test_waiting_watching_and_steering(server, client):
    server.jobs.job.state = v1.FineTuningJob.STATE_RUNNING
    job = client.create_job(base_model="m", dataset="d")
    server.jobs.streams = [[event(1), event(2, terminal=True)], [event(1, terminal=True)]]
    assert [e.sequence for e in job.watch()] == [1, 2]
    server.jobs.job.state = v1.FineTuningJob.STATE_SUCCEEDED
    assert job.wait() is job and job.state_name == "SUCCEEDED"
    server.jobs.job.state = v1.FineTuningJob.STATE_CANCELLED
    assert job.refresh() is job and job.ended
    assert job.cancel() is job


def test_results_are_of_the_jobs_own_checkpoints(server, client, tmp_path):
    server.checkpoints.add("config.json", b"{}")
    job = client.get_job("j1")
    job.download(tmp_path, checkpoint=30)
    job.predict(["a"], checkpoint="last")
    job.predict(["a"])
    server.prediction.streams = [[v1.EvaluateResponse(result=v1.CheckpointEvaluation())]]
    job.evaluate(split="test")
    assert [r.checkpoint.rsplit("/", 1)[1] for r in server.prediction.requests] == ["last", "best"]
    assert server.prediction.evaluations[0].checkpoint == "fineTuningJobs/j1/checkpoints/best" and (tmp_path / "config.json").exists()


def check_table(table):
    assert list(table.columns) == ["step", "epoch", "phase", "eval_loss", "learning_rate", "loss"]
    assert list(table.step) == [1, 2, 2, 3, 4] and list(table.phase) == ["head"] * 3 + ["all"] * 2
    assert table.loss.dropna().tolist() == [0.7, 0.5, 0.4, 0.3] and math.isnan(table.learning_rate[1])


def test_metrics_of_all_pages_as_a_table(server, client):
    server.jobs.points = points()
    check_table(client.get_job("j1").metrics())
    assert [p.step for p in client.get_job("j1").metric_points()] == [1, 2, 2, 3, 4]

    async def asynchronous():
        async with AsyncClient(server.address) as other:
            return await (await other.get_job("j1")).metrics()
    check_table(asyncio.run(asynchronous()))


def test_no_metrics_are_an_empty_table(server, client):
    assert list(client.get_job("j1").metrics().columns) == ["step", "epoch", "phase"]


def test_metrics_without_pandas_say_what_to_do(server, client, monkeypatch):
    real = builtins.__import__

    def without_pandas(name, *arguments, **named):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'")
        return real(name, *arguments, **named)
    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(ImportError, match=r"pip install 'attune-client\[pandas\]'"):
        client.get_job("j1").metrics()
