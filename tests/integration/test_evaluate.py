"""Evaluation of checkpoints: figures equal to the job's own, planted wrong labels, other datasets, callers that leave, and what is wrong with requests."""
import json

import pytest

import harness
from harness import Job, dataset_pb, error_of, prediction_pb, spec_pb

FLIPPED = (4, 23, 77, 118, 150)  # training rows of `mislabelled`


@pytest.fixture(scope="module")
def job(server, model, dataset):
    created = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=12, batch_size=16, learning_rate=3e-3))
    done = server.wait(created.name)
    assert done.state == Job.STATE_SUCCEEDED and done.test_evaluation.values["accuracy"] > 0.9, done
    return done


@pytest.fixture(scope="module")
def mislabelled(server):
    """Other rows of the same kind; some of the training rows have the other label."""
    lines = harness.sentiment_csv(200, seed=5).decode().splitlines()
    for row in FLIPPED:
        text, label = lines[row + 1].rsplit(",", 1)
        lines[row + 1] = f"{text},{'negative' if label == 'positive' else 'positive'}"
    parts = {"train": "\n".join(lines).encode(), "validation": harness.sentiment_csv(40, seed=6), "test": harness.sentiment_csv(60, seed=7)}
    return server.import_dataset(parts, "other.csv").name


def evaluate(server, checkpoint, **fields):
    """(progress messages, result)."""
    messages = list(server.prediction.Evaluate(prediction_pb.EvaluateRequest(checkpoint=checkpoint, **fields), timeout=harness.DEADLINE))
    assert [m.WhichOneof("kind") for m in messages[:-1]] == ["progress"] * (len(messages) - 1) and messages[-1].WhichOneof("kind") == "result"
    return [m.progress for m in messages[:-1]], messages[-1].result


def test_says_what_the_job_said_at_its_end(server, job):
    _, result = evaluate(server, job.name)
    assert result.checkpoint == job.best_checkpoint and result.dataset == job.spec.dataset
    assert result.evaluation.split == "test" and result.evaluation.rows == job.test_evaluation.rows
    assert dict(result.evaluation.values) == pytest.approx(dict(job.test_evaluation.values), abs=1e-4)
    assert {"loss", "accuracy", "f1_macro", "f1_micro", "ece"} <= set(result.evaluation.values)
    assert list(result.evaluation.confusion_matrix) == list(job.test_evaluation.confusion_matrix)
    assert len(result.calibration) == 15 and sum(b.rows for b in result.calibration) == result.evaluation.rows
    right = sum(b.rows * b.accuracy for b in result.calibration) / result.evaluation.rows
    assert right == pytest.approx(result.evaluation.values["accuracy"])
    assert not result.suspects and result.training_rows == 0


def test_wrong_labels_are_the_first_suspects(server, job, mislabelled):
    progress, result = evaluate(server, job.name, dataset=mislabelled, find_suspects=True, suspect_count=len(FLIPPED))
    assert result.dataset == mislabelled and result.evaluation.rows == 60 and result.training_rows == 200
    assert {s.row for s in result.suspects} == set(FLIPPED), result.suspects
    for suspect in result.suspects:
        assert suspect.line == suspect.row + 2 and suspect.filename == "train-other.csv"
        assert suspect.labels != suspect.predicted_labels and suspect.margin < 0 and suspect.text
    assert result.contradicted_rows >= len(FLIPPED)
    assert all(p.rows_total in (0, 260) and p.rows_done <= 260 for p in progress)


def test_splits(server, job, mislabelled):
    for split, rows in (("train", 200), ("validation", 40), ("test", 60)):
        _, result = evaluate(server, job.name, dataset=mislabelled, split=dataset_pb.Split.Value(f"SPLIT_{split.upper()}"), batch_size=7)
        assert (result.evaluation.split, result.evaluation.rows) == (split, rows)


def test_command_line(server, job, mislabelled):
    text = harness.cli(server, "jobs", "evaluate", job.name, "--dataset", mislabelled, "--suspects", "5").stdout
    assert "Evaluation on test (60 rows" in text and "of 200 training rows" in text and "train-other.csv:6" in text
    told = json.loads(harness.cli(server, "jobs", "evaluate", job.name, "--split", "validation", "--json").stdout)
    assert told["evaluation"]["split"] == "validation"


def test_a_caller_that_leaves_does_not_hold_up_the_next(server, job):
    many = server.import_dataset(harness.sentiment_csv(40000, seed=9), test_fraction=0.2).name
    call = server.prediction.Evaluate(prediction_pb.EvaluateRequest(checkpoint=job.name, dataset=many, find_suspects=True, batch_size=1))
    assert next(call).WhichOneof("kind") == "progress"
    call.cancel()
    _, result = evaluate(server, job.name)
    assert result.evaluation.rows == job.test_evaluation.rows


@pytest.mark.parametrize("fields, words", [
    (dict(checkpoint="models/m"), ["checkpoint"]),
    (dict(dataset="models/m"), ["dataset", "datasets/{id}"]),
    (dict(suspect_count=5), ["suspect_count", "find_suspects"]),
    (dict(find_suspects=True, suspect_count=1001), ["suspect_count", "1000"]),
    (dict(batch_size=0), ["batch_size"]),
    (dict(split=7), ["split"]),
], ids=["checkpoint", "dataset", "count-alone", "count", "batch", "split"])
def test_bad_requests(server, job, fields, words):
    request = prediction_pb.EvaluateRequest(**{"checkpoint": job.name, **fields})
    code, message = error_of(lambda: list(server.prediction.Evaluate(request)))
    assert code.name == "INVALID_ARGUMENT", (code, message)
    for word in words:
        assert word in message, message


def test_datasets_that_do_not_fit(server, job):
    other = server.import_dataset(harness.sentiment_csv(40, labels=("negative", "upbeat"))).name
    numbers = server.import_dataset(b"text,label\n" + b"".join(b"word %d,%d.5\n" % (i, i) for i in range(20)), label_kind=dataset_pb.LABEL_KIND_REGRESSION).name
    for dataset, words in ((other, ["class 2", '"upbeat"', '"positive"']), (numbers, ["a number each"])):
        request = prediction_pb.EvaluateRequest(checkpoint=job.name, dataset=dataset)
        code, message = error_of(lambda: list(server.prediction.Evaluate(request)))
        assert code.name == "INVALID_ARGUMENT" and "dataset" in message, (code, message)
        for word in words:
            assert word in message, message
    code, _ = error_of(lambda: list(server.prediction.Evaluate(prediction_pb.EvaluateRequest(checkpoint=job.name, dataset="datasets/none"))))
    assert code.name == "NOT_FOUND"
    code, _ = error_of(lambda: list(server.prediction.Evaluate(prediction_pb.EvaluateRequest(checkpoint=job.name + "/checkpoints/999999"))))
    assert code.name == "NOT_FOUND"
