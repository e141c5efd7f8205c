"""Jobs side by side on one device, by the memory that they take: measured by a plan where nobody has said it."""
import pytest

import harness
from harness import Job, job_pb, spec_pb


@pytest.fixture(scope="module")
def peak(server, model, dataset):
    """Bytes that `start` takes, of a plan."""
    plan = server.jobs.PlanFineTuningJob(job_pb.PlanFineTuningJobRequest(spec=spec_pb.FineTuningSpec(base_model=model, dataset=dataset, hyperparameters=long())), timeout=harness.DEADLINE)
    return plan.memory.peak_bytes


def long():
    return spec_pb.Hyperparameters(n_epochs=1000, batch_size=8)


def get(server, job):
    return server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job))


def cancel(server, job):
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job))
    return server.wait(job)


def start(server, tiny_bert, jobs):
    model = server.import_model(tiny_bert, "tiny-bert").name
    dataset = server.import_dataset(harness.sentiment_csv(160)).name
    return [server.create_job(model, dataset, seed=i, hyperparameters=long()).name for i in range(jobs)]


def test_two_share_what_they_fit_in_and_the_third_waits(tmp_path, tiny_bert, peak):
    with harness.Server(tmp_path / "data", "--job-slots", "3", "--warm-workers", "2", "--job-memory-bytes", str(int(2.5 * peak))) as server:
        first, second, third = start(server, tiny_bert, 3)
        server.wait_for_state(first, "RUNNING")
        texts = []
        for event in server.events(second):
            texts.append(event.log_line.text)
            if event.state_changed.to == "RUNNING":
                break
        assert sum(text.startswith("a plan has measured that it takes up to") and text.endswith("of cpu") for text in texts) == 1, texts
        harness.wait_until(lambda: get(server, third).blocking_resource == "memory", "a worker for the third, which then lacks memory")
        waiting = get(server, third)
        assert "waits for memory of cpu: needs" in waiting.state_reason
        assert waiting.memory_bytes == pytest.approx(peak, rel=0.15), "that of its equal"
        assert cancel(server, first).state == Job.STATE_CANCELLED
        server.wait_for_state(third, "RUNNING")
        assert get(server, second).state == Job.STATE_RUNNING and get(server, second).attempt == 1


def test_one_that_fits_beside_nothing_runs_alone(tmp_path, tiny_bert, peak):
    with harness.Server(tmp_path / "data", "--job-slots", "2", "--job-memory-bytes", str(int(0.5 * peak))) as server:
        first, second = start(server, tiny_bert, 2)
        server.wait_for_state(first, "RUNNING")
        harness.wait_until(lambda: get(server, second).state_reason.startswith("waits until it has cpu to itself"), "a plan to find that it fits beside nothing")
        assert get(server, second).blocking_resource == "memory"
        cancel(server, first)
        server.wait_for_state(second, "RUNNING")
