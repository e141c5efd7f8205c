"""Jobs that change while they train: what their owners ask for, and what memory forces."""
import json

import pytest

import harness
from harness import Job, job_pb, spec_pb


def get(server, job):
    return server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job))


def metrics(server, job):
    """(attempt, step) to the values of the step."""
    return {(e.attempt, e.metrics.step): dict(e.metrics.values) for e in server.events(job)
            if e.WhichOneof("payload") == "metrics" and "learning_rate" in e.metrics.values}


def test_a_change_is_repeated_by_the_attempt_after_a_crash(own_server, tiny_bert):
    server = own_server
    model = server.import_model(tiny_bert, "tiny-bert").name
    dataset = server.import_dataset(harness.sentiment_csv(160)).name
    job = server.create_job(model, dataset, seed=3, hyperparameters=spec_pb.Hyperparameters(n_epochs=30, batch_size=4, learning_rate=1e-3),
                            checkpointing=spec_pb.CheckpointSpec(save_steps=100)).name
    server.wait_for_event(job, "checkpoint_saved")
    told = json.loads(harness.cli(server, "jobs", "update", job, "--lr-scale", "0.25", "--epochs", "20", "--output", "json").stdout)
    assert told["liveSettings"] == {"learningRateScale": 0.25, "nEpochs": 20}
    changed = next(e for e in server.events(job) if e.log_line.text.startswith("after step"))
    assert "learning rates x 0.25, 20 epochs in the last phase" in changed.log_line.text
    adjustment, = get(server, job).adjustments
    for event in server.events(job, after=changed.sequence):  # beyond the change, and so that the checkpoint before it is the last one
        if event.WhichOneof("payload") == "metrics" and event.metrics.step > adjustment.after_step + 3:
            break
    server.kill_workers()
    done = server.wait(job)
    last = done.attempt  # 3 where the second had the idle worker, which was killed a moment later
    assert done.state == Job.STATE_SUCCEEDED and last in (2, 3), done
    assert list(done.adjustments) == [adjustment]
    values = metrics(server, job)
    again = [step for attempt, step in values if attempt == last and (1, step) in values]
    assert again and min(again) <= adjustment.after_step + 4
    for step in again:
        for name in ("loss", "learning_rate", "grad_norm"):
            assert values[1, step][name] == values[last, step][name], (step, name)
    assert max(step for _, step in values) == done.progress.total_steps == 36 + 20 * 36, "an epoch of the head over 144 rows, and twenty of everything"


def test_bad_changes_are_refused(own_server, tiny_bert):
    server = own_server
    model = server.import_model(tiny_bert, "tiny-bert").name
    dataset = server.import_dataset(harness.sentiment_csv(40)).name
    job = server.create_job(model, dataset).name
    done = harness.cli(server, "jobs", "update", job, "--epochs", "0", check=False)
    assert done.returncode != 0 and "must be 1 to 1000, not 0" in done.stderr
    server.wait(job)
    done = harness.cli(server, "jobs", "update", job, "--epochs", "5", check=False)
    assert done.returncode != 0 and "has ended" in done.stderr


def wide_job(server, directory, tiny_bert_options):
    model = server.import_model(harness.make_tiny_bert(directory, **tiny_bert_options), "wide").name
    words = " ".join(harness.FILLER * 3)
    rows = [f"{words} {(harness.GOOD if i % 2 else harness.BAD)[i % 6]},{i % 2}" for i in range(640)]
    dataset = server.import_dataset("\n".join(["text,label", *rows]).encode(), validation_fraction=0.1, test_fraction=0.1).name
    return server.create_job(model, dataset, head=spec_pb.HeadSpec(dropout=0), hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=512, learning_rate=1e-4)).name


@pytest.mark.skipif(harness.MEMORY_FACTOR > 1, reason="an allocation that fails ends a process under a sanitizer")
def test_a_batch_that_does_not_fit_is_computed_in_parts(tmp_path):
    """With a limit that the whole batch exceeds the job ends with the same effective batch, the same losses, and an event."""
    options = dict(hidden_size=256, intermediate_size=1024, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    runs = {}
    for name, flags in (("free", []), ("limited", ["--worker-memory-bytes", str(600 << 20)])):
        with harness.Server(tmp_path / name, *flags) as server:
            job = wide_job(server, tmp_path / f"{name}-model", options)
            done = server.wait(job)
            assert done.state == Job.STATE_SUCCEEDED, (name, done)
            runs[name] = done, metrics(server, job), [e for e in server.events(job) if "memory ran out" in e.message]
    free, limited = runs["free"], runs["limited"]
    assert not free[0].adjustments and not free[2]
    parts = [a.batch_parts for a in limited[0].adjustments]
    assert parts and parts[0] == 2 and parts == sorted(parts), limited[0].adjustments
    assert [e.level for e in limited[2]] == [harness.event_pb.JobEvent.LEVEL_WARNING] * len(parts)
    assert limited[0].attempt == 1, "within the attempt, at the same step"
    assert limited[0].effective_spec.hyperparameters.batch_size == 512
    assert limited[1].keys() == free[1].keys(), "as many optimizer steps"
    for step, values in free[1].items():
        assert abs(limited[1][step]["loss"] - values["loss"]) < 1e-3, (step, values, limited[1][step])
