"""The main job: upload, import, fine-tune, watch, download, predict; and the checkpoint in transformers."""
import concurrent.futures
import json
import os

import numpy
import pytest

import harness
from harness import Job, checkpoint_pb, common_pb, error_of, event_pb, job_pb, prediction_pb, spec_pb


@pytest.fixture(scope="module")
def finished(server, model, dataset):
    job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=12, batch_size=16, learning_rate=3e-3))
    events = list(server.events(job.name))
    done = server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job.name))
    assert done.state == Job.STATE_SUCCEEDED, done
    return done, events


def test_learns(finished):
    job, _ = finished
    assert job.test_evaluation.values["accuracy"] > 0.9
    assert job.best_checkpoint.startswith(job.name + "/checkpoints/")


def test_textbook_policy_is_the_default(finished):
    job, events = finished
    phases = [e.phase_started for e in events if e.WhichOneof("payload") == "phase_started"]
    assert [p.phase for p in phases] == ["head", "all"]
    assert phases[0].trainable_parameters < phases[1].trainable_parameters == phases[1].total_parameters
    head, full = job.effective_spec.phases
    assert head.trainable.head_only and full.trainable.all
    assert head.learning_rate > full.learning_rate
    assert full.layer_decay == 1


def test_events_tell_the_story(finished):
    job, events = finished
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    kinds = {e.WhichOneof("payload") for e in events}
    assert {"state_changed", "metrics", "evaluation", "checkpoint_saved", "phase_started"} <= kinds
    states = [e.state_changed.to for e in events if e.WhichOneof("payload") == "state_changed"]
    assert states == ["QUEUED", "PREPARING", "RUNNING", "SUCCEEDED"]
    assert events[-1].state_changed.terminal
    losses = [e.metrics.values["loss"] for e in events if e.WhichOneof("payload") == "metrics" and "loss" in e.metrics.values]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_listed_events_and_metrics_equal_watched_ones(server, finished):
    job, events = finished
    listed, token = [], ""
    while True:
        page = server.jobs.ListJobEvents(job_pb.ListJobEventsRequest(parent=job.name, page_size=7, page_token=token))
        listed += page.events
        token = page.next_page_token
        if not token:
            break
    assert listed == events
    metrics = server.jobs.ListJobMetrics(job_pb.ListJobMetricsRequest(parent=job.name))
    assert list(metrics.points)[:3] == [e.metrics for e in events if e.WhichOneof("payload") == "metrics"][:3]


def test_cut_watch_joined_is_the_undisturbed_sequence(server, finished):
    job, events = finished
    joined = []
    while not joined or not (joined[-1].WhichOneof("payload") == "state_changed" and joined[-1].state_changed.terminal):
        watch = server.jobs.WatchFineTuningJob(
            job_pb.WatchFineTuningJobRequest(name=job.name, after_sequence=joined[-1].sequence if joined else 0))
        for count, response in enumerate(watch):
            if response.WhichOneof("kind") == "event":
                joined.append(response.event)
            if count == 4:
                watch.cancel()
                break
    assert joined == events


def test_cut_watches_of_a_running_job(server, model, dataset):
    job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=6, batch_size=8))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        whole = pool.submit(lambda: list(server.events(job.name)))
        joined, ended = [], False
        while not ended:
            watch = server.jobs.WatchFineTuningJob(
                job_pb.WatchFineTuningJobRequest(name=job.name, after_sequence=joined[-1].sequence if joined else 0))
            taken = 0
            for response in watch:
                if response.WhichOneof("kind") != "event":
                    continue
                joined.append(response.event)
                ended = response.event.state_changed.terminal
                taken += 1
                if taken == 9:
                    watch.cancel()
                    break
        assert joined == whole.result()


def test_two_hundred_watchers_all_see_the_end(server, model, dataset):
    job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=32))
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        watchers = [pool.submit(lambda: list(server.events(job.name))[-1]) for _ in range(200)]
        last = [watcher.result() for watcher in watchers]
    assert all(event.state_changed.terminal and event.state_changed.to == "SUCCEEDED" for event in last)
    assert len({event.sequence for event in last}) == 1


def test_checkpoint_loads_in_transformers_and_agrees(server, finished, tmp_path, caplog):
    import torch
    import transformers
    job, _ = finished
    server.download(job.best_checkpoint, tmp_path / "model")
    transformers.utils.logging.enable_propagation()
    with caplog.at_level("WARNING"):
        model, info = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    assert not [r for r in caplog.records if "newly initialized" in r.getMessage() or "not used" in r.getMessage()]
    texts = [line.split(",")[0] for line in harness.sentiment_csv(100, seed=5).decode().splitlines()[1:]]
    answer = server.prediction.Predict(prediction_pb.PredictRequest(
        checkpoint=job.best_checkpoint, inputs=[common_pb.TextInput(text=t) for t in texts]), timeout=harness.DEADLINE)
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()
    ours = numpy.array([p.logits for p in answer.predictions])
    numpy.testing.assert_allclose(ours, logits, atol=1e-4, rtol=1e-4)
    names = [model.config.id2label[int(i)] for i in logits.argmax(-1)]
    assert [p.labels[0] for p in answer.predictions] == names
    assert model.config.label2id == {"negative": 0, "positive": 1}


def test_predictions_name_classes_best_first(server, finished):
    job, _ = finished
    answer = server.prediction.Predict(prediction_pb.PredictRequest(
        checkpoint=job.name, inputs=[common_pb.TextInput(text="this film was great")]), timeout=harness.DEADLINE)
    scores = answer.predictions[0].scores
    assert scores[0].label == "positive" and scores[0].score > scores[1].score
    assert abs(sum(s.score for s in scores) - 1) < 1e-6


def test_download_resumes_by_offset(server, finished):
    job, _ = finished
    found = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job.name + "/checkpoints/best"))
    size = {f.path: f.size_bytes for f in found.files}["model.safetensors"]

    def fetch(offset):
        return b"".join(r.data for r in server.checkpoints.DownloadCheckpointFile(
            checkpoint_pb.DownloadCheckpointFileRequest(name=found.name, path="model.safetensors", offset=offset)))
    whole = fetch(0)
    assert len(whole) == size
    assert fetch(1000) == whole[1000:]
    code, message = error_of(server.checkpoints.DownloadCheckpointFile,
                             checkpoint_pb.DownloadCheckpointFileRequest(name=found.name, path="../../attune.db"))
    assert code.name in ("NOT_FOUND", "INVALID_ARGUMENT")


def test_equal_seeds_give_equal_bytes(server, model, dataset):
    digests = []
    for _ in range(2):
        job = server.create_job(model, dataset, seed=11, hyperparameters=spec_pb.Hyperparameters(n_epochs=1))
        assert server.wait(job.name).state == Job.STATE_SUCCEEDED
        files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job.name + "/checkpoints/last")).files
        digests.append({f.path: f.sha256 for f in files}["model.safetensors"])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("precision", ["PRECISION_FP32", "PRECISION_BF16"])
def test_every_phase_kind_and_knob(server, model, dataset, precision):
    job = server.create_job(
        model, dataset, precision=spec_pb.Precision.Value(precision),
        phases=[
            spec_pb.Phase(name="probe", n_epochs=1, trainable=spec_pb.Trainable(head_only=True), learning_rate=1e-3),
            spec_pb.Phase(name="top", max_steps=7, trainable=spec_pb.Trainable(last_n_groups=2), learning_rate=5e-4),
            spec_pb.Phase(name="some", max_steps=5, trainable=spec_pb.Trainable(patterns=spec_pb.NamePatterns(patterns=["encoder.layer.[0-1].attention.*"]))),
            spec_pb.Phase(name="rest", plateau=spec_pb.Plateau(patience=1, max_epochs=2), layer_decay=0.8,
                          trainable=spec_pb.Trainable(all=True, freeze=["embeddings.*"])),
        ],
        hyperparameters=spec_pb.Hyperparameters(batch_size=8, gradient_accumulation_steps=2, label_smoothing=0.1, max_grad_norm=0.5,
                                                warmup_steps=2, lr_scheduler_type=spec_pb.LR_SCHEDULER_TYPE_COSINE,
                                                optimizer=spec_pb.OPTIMIZER_SGD, momentum=0.8),
        evaluation=spec_pb.EvaluationSpec(eval_steps=5), checkpointing=spec_pb.CheckpointSpec(save_steps=5, keep_last=1))
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    kept = server.checkpoints.ListCheckpoints(checkpoint_pb.ListCheckpointsRequest(parent=job.name)).checkpoints
    assert 1 <= len(kept) <= 3
    assert sum(c.is_best for c in kept) == 1


def test_pairs_multi_label_and_regression(server, model):
    pairs = ["text\ttext_pair\tlabel"] + [f"the film was {w}\tso it is {w}\t{int(w in harness.GOOD)}" for w in (harness.GOOD + harness.BAD) * 6]
    multi = [json.dumps({"text": f"the {w} film", "label": ["film"] + (["good"] if w in harness.GOOD else [])}) for w in (harness.GOOD + harness.BAD) * 6]
    numbers = ["text,label"] + [f"so {w},{1.5 if w in harness.GOOD else -1.5}" for w in (harness.GOOD + harness.BAD) * 6]
    cases = [("pairs.tsv", "\n".join(pairs).encode(), {}, "accuracy"),
             ("multi.jsonl", "\n".join(multi).encode(), {}, "f1_macro"),
             ("numbers.csv", "\n".join(numbers).encode(), {"label_kind": harness.dataset_pb.LABEL_KIND_REGRESSION}, "mse")]
    for filename, content, fields, metric in cases:
        dataset = server.import_dataset(content, filename, validation_fraction=0.2, test_fraction=0.2, **fields)
        job = server.wait(server.create_job(model, dataset.name, hyperparameters=spec_pb.Hyperparameters(
            n_epochs=2, batch_size=8, learning_rate=1e-3)).name)
        assert job.state == Job.STATE_SUCCEEDED, job
        assert metric in job.test_evaluation.values, filename
        answer = server.prediction.Predict(prediction_pb.PredictRequest(
            checkpoint=job.name, inputs=[common_pb.TextInput(text="the good film", text_pair="so it is good" if "pairs" in filename else "")]),
            timeout=harness.DEADLINE)
        assert len(answer.predictions[0].logits) == (1 if metric == "mse" else 2)


def test_cancel_running_job_keeps_its_checkpoint(server, model, dataset):
    job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=500, batch_size=4))
    server.wait_for_event(job.name, "checkpoint_saved")
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name))
    done = server.wait(job.name)
    assert done.state == Job.STATE_CANCELLED
    kept = server.checkpoints.ListCheckpoints(checkpoint_pb.ListCheckpointsRequest(parent=job.name)).checkpoints
    assert kept
    again = server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=job.name))
    assert again.state == Job.STATE_CANCELLED
    server.jobs.DeleteFineTuningJob(job_pb.DeleteFineTuningJobRequest(name=job.name))
    code, _ = error_of(server.jobs.GetFineTuningJob, job_pb.GetFineTuningJobRequest(name=job.name))
    assert code.name == "NOT_FOUND"
    assert not os.path.exists(os.path.join(server.data_dir, "jobs", job.name.split("/")[1]))


def test_waiting_job_says_why(server, model, dataset):
    long = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=500, batch_size=4))
    server.wait_for_event(long.name, "phase_started")
    waiting = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1))
    seen = server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=waiting.name))
    assert seen.state == Job.STATE_QUEUED and seen.state_reason
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=waiting.name))
    assert server.wait(waiting.name).state == Job.STATE_CANCELLED
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=long.name))
    assert server.wait(long.name).state == Job.STATE_CANCELLED
