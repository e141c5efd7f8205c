"""AsyncClient is the text that Client is made of; what is tested here is what differs: the transport, cancelling, and that the loop stays free."""
import asyncio
import threading
from contextlib import aclosing

import grpc
import pytest

from attune_client import AsyncClient, AttuneError, InvalidArgumentError, JobFailed, RetryPolicy, UnavailableError, v1
from fake_server import cut, refuse
from test_client import CONTENT, HEARTBEAT, event
from test_results import WEIGHTS, rows


def run(server, policy, steps, **arguments):
    """Runs `steps(client)` with a client that is closed afterwards."""
    async def inner():
        async with AsyncClient(server.address, retry=policy, **arguments) as client:
            return await asyncio.wait_for(steps(client), 30)
    return asyncio.run(inner())


def test_transient_faults_are_retried_and_others_raise(server, policy, sleeps):
    server.models.failures = [cut, cut, lambda c: refuse(c, grpc.StatusCode.INVALID_ARGUMENT, "bad", "WHY", [("spec.seed", "is bad")])]

    async def steps(client):
        with pytest.raises(InvalidArgumentError) as caught:
            await client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))
        assert (caught.value.reason, caught.value.violations[0].field) == ("WHY", "spec.seed")
    run(server, policy, steps)
    assert sleeps == pytest.approx([0.15, 0.3])


def test_a_sleep_may_be_awaited(server):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
    server.models.failures = [cut]
    run(server, RetryPolicy(sleep=sleep), lambda client: client.call(client.models.GetModel, v1.GetModelRequest(name="models/m")))
    assert len(slept) == 1


def test_upload_and_import_go_on_after_cuts(server, policy, tmp_path):
    (tmp_path / "reviews.csv").write_bytes(CONTENT)
    server.uploads.cut_after = [300_000, 0, 250_001]
    server.datasets.imports = [[v1.ImportDatasetResponse(), cut], [v1.ImportDatasetResponse(dataset=v1.Dataset(name="datasets/d", state=v1.Dataset.STATE_READY))]]
    seen = []
    dataset = run(server, policy, lambda client: client.import_dataset({"train": tmp_path / "reviews.csv"}, progress=lambda name, done, total: seen.append((done, total))))
    assert dataset.name == "datasets/d" and server.uploads.offsets == [0, 300_000, 300_000, 550_001]
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert len({request.request_id for request in server.datasets.requests}) == 1


def test_an_upload_that_the_server_does_not_take_is_cut_and_continued(server, policy, tmp_path):
    (tmp_path / "reviews.csv").write_bytes(CONTENT)
    server.uploads.hang = threading.Event()
    hang = server.uploads.hang
    try:
        upload = run(server, policy, lambda client: client.upload(tmp_path / "reviews.csv"), stall_timeout=0.2)
    finally:
        hang.set()
    assert server.uploads.contents[upload.name] == CONTENT


def test_a_watch_yields_each_event_once(server, policy):
    server.jobs.stored = [v1.JobEvent(sequence=n) for n in range(1, 9)]
    server.jobs.streams = [[event(1), HEARTBEAT, event(2), cut], [event(2), event(1), event(3)],
                           [v1.WatchFineTuningJobResponse(lagged=v1.Lagged(dropped=4)), event(8), event(9, terminal=True), event(10)]]

    async def steps(client):
        return [e.sequence async for e in client.watch("j1")]
    assert run(server, policy, steps) == list(range(1, 10))


def test_a_silent_stream_is_cut_and_continued(server, policy):
    release = threading.Event()
    server.jobs.streams = [[event(1), lambda c: release.wait(10)], [event(2, terminal=True)]]

    async def steps(client):
        return [e.sequence async for e in client.watch("j1")]
    assert run(server, policy, steps, stall_timeout=0.1) == [1, 2]
    release.set()


def test_leaving_a_watch_or_cancelling_a_wait_ends_the_stream(server, policy):
    ended = [threading.Event(), threading.Event()]
    server.jobs.streams = [[lambda c, e=e: c.add_callback(e.set) and None, event(1), lambda c, e=e: e.wait(10)] for e in ended]

    async def steps(client):
        async with aclosing(client.watch("j1")) as events:
            async for _ in events:
                break
        assert await asyncio.to_thread(ended[0].wait, 10)
        seen = asyncio.Event()
        waiting = asyncio.create_task(client.wait("j1", on_event=lambda e: seen.set()))
        await seen.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await asyncio.to_thread(ended[1].wait, 10)
    run(server, policy, steps)


def test_many_waits_share_a_thread(server, policy):
    server.jobs.streams = [[event(1), event(2, terminal=True)] for _ in range(20)]

    async def steps(client):
        return await asyncio.gather(*(client.wait(f"j{n}") for n in range(20)))
    assert [job.state_name for job in run(server, policy, steps)] == ["SUCCEEDED"] * 20


def test_a_failed_job_raises(server, policy):
    server.jobs.streams = [[event(1, terminal=True)]]
    server.jobs.job.state = v1.FineTuningJob.STATE_FAILED

    async def steps(client):
        with pytest.raises(JobFailed):
            await (await client.create_job(base_model="m", dataset="d")).wait()
    run(server, policy, steps)


def test_download_goes_on_and_checks(server, policy, tmp_path):
    server.checkpoints.add("model.safetensors", WEIGHTS)
    server.checkpoints.cut_after = [20, 10]
    paths = run(server, policy, lambda client: client.download("j1", tmp_path))
    assert paths[0].read_bytes() == WEIGHTS and [offset for _, _, offset in server.checkpoints.downloads] == [0, 20, 30]
    server.checkpoints.contents["model.safetensors"] = WEIGHTS.upper()
    with pytest.raises(AttuneError, match="arrived twice"):
        run(server, policy, lambda client: client.download("j1", tmp_path / "other"))


def test_predict_and_evaluate(server, policy):
    server.prediction.streams = [[rows(0, 8), cut], [rows(8, 8), v1.EvaluateResponse(result=v1.CheckpointEvaluation(training_rows=3))]]
    seen = []

    async def steps(client):
        job = await client.get_job("j1")
        predictions = await job.predict([str(n) for n in range(300)])
        evaluation = await job.evaluate(progress=lambda done, total: seen.append((done, total)))
        return len(predictions), evaluation.training_rows
    assert run(server, policy, steps) == (300, 3) and seen == [(0, 8), (8, 8)]


def test_a_closed_client_gives_up(server, policy):
    server.stop()
    with pytest.raises(UnavailableError):
        run(server, policy, lambda client: client.get_job("j1"))
