"""Bad input through the whole service: a typed error that says what to do, and the server goes on."""
import hashlib
import json
import os
import shutil
import struct

import grpc
import pytest

import harness
from harness import Job, dataset_pb, error_of, event_pb, job_pb, model_pb, spec_pb, upload_pb

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(autouse=True)
def server_survives(server):
    yield
    assert server.process.poll() is None
    server.system.GetServerInfo(harness.system_pb.GetServerInfoRequest(), timeout=10)


# Datasets -----------------------------------------------------------------------------------------------------------------
ROWS = harness.sentiment_csv(40).decode()


@pytest.mark.parametrize("content, filename, words", [
    (ROWS.encode() + b"caf\xe9 is nice,positive\n", "a.csv", ["a.csv", "42", "UTF-8"]),
    (ROWS.replace("text,label", "txt,label").encode(), "b.csv", ["text", "txt"]),
    (ROWS.encode() + b"one,two,three\n", "c.csv", ["c.csv", "42", "column"]),
    (b"", "d.csv", None),
    (b"text,label\n", "e.csv", ["e.csv"]),
    (ROWS.encode() + b",positive\n", "f.csv", ["f.csv", "42"]),
    (ROWS.encode() + b"no label,\n", "g.csv", ["g.csv", "42", "label"]),
    (b'{"text": "good", "label": "a"}\n{"text": 3}\n[1]\nnot json\n', "h.jsonl", ["h.jsonl", "2"]),
    (b"\x1f\x8b\x08\x00garbage", "i.csv.gz", ["i.csv.gz"]),
    (b"\x28\xb5\x2f\xfdgarbage", "j.csv.zst", ["j.csv.zst"]),
    (ROWS.encode(), "k.parquet", ["k.parquet", "jsonl"]),
], ids=["not-utf8", "missing-column", "ragged", "empty-file", "header-only", "empty-text", "no-label", "bad-json", "bad-gzip", "bad-zstd", "unknown-format"])
def test_bad_dataset(server, content, filename, words):
    code, message = error_of(server.import_dataset, content, filename)
    assert code == INVALID, (code, message)
    for word in words or []:
        assert word in message, message


def test_tolerated_bad_rows_are_reported_by_line(server):
    dataset = server.import_dataset(ROWS.encode() + b"caf\xe9,positive\n", "rows.csv", max_bad_rows=-1)
    assert dataset.report.rows_used == 40 and dataset.report.rows_read == 41
    issue = dataset.report.issues[0]
    assert (issue.kind, issue.filename, issue.line) == (dataset_pb.RowIssue.KIND_NOT_UTF8, "rows.csv", 42)
    assert dataset.report.issue_counts["not_utf8"] == 1


def test_label_unseen_in_training(server):
    test = b"text,label\nthe odd film,sideways\n"
    code, message = error_of(server.import_dataset, {"train": ROWS.encode(), "test": test})
    assert code == INVALID and "sideways" in message


def test_one_class_only(server, model):
    content = "\n".join(["text,label"] + [f"film number {i},positive" for i in range(30)]).encode()
    code = message = None
    try:
        dataset = server.import_dataset(content, "one.csv")
    except grpc.RpcError as error:
        code, message = error.code(), error.details()
    else:
        code, message = error_of(server.create_job, model, dataset.name)
    assert code == INVALID and "class" in message


def test_hundred_megabyte_line(server):
    line = b'{"text": "' + b"x" * (100 << 20) + b'", "label": "a"}\n'
    before = rss(server)
    code, message = error_of(server.import_dataset, b'{"text": "ok", "label": "b"}\n' + line, "long.jsonl")
    assert code == INVALID and "long" in message
    assert rss(server) - before < harness.MEMORY_FACTOR * (64 << 20)


def rss(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Uploads ------------------------------------------------------------------------------------------------------------------
def test_wrong_checksum(server):
    code, message = error_of(server.upload, b"content", "a.csv", sha256=hashlib.sha256(b"other").hexdigest())
    assert code == grpc.StatusCode.DATA_LOSS and "SHA-256" in message


def test_unfinished_upload_cannot_be_imported(server):
    created = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=100))
    code, message = error_of(server.datasets.ImportDataset, dataset_pb.ImportDatasetRequest(files=[dataset_pb.ImportFile(upload=created.name)]))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "0 of 100" in message


@pytest.mark.parametrize("filename", ["", "../a.csv", "a/b.csv", "x" * 300, "a\nb.csv", ".."])
def test_bad_filename(server, filename):
    code, message = error_of(server.uploads.CreateUpload, upload_pb.CreateUploadRequest(filename=filename, size_bytes=1))
    assert code == INVALID and "filename" in message


@pytest.mark.parametrize("size", [0, -1])
def test_bad_size(server, size):
    code, message = error_of(server.uploads.CreateUpload, upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=size))
    assert code == INVALID and "size_bytes" in message


def test_upload_larger_than_the_disk(server):
    code, message = error_of(server.uploads.CreateUpload, upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=1 << 50))
    assert code in (grpc.StatusCode.RESOURCE_EXHAUSTED, INVALID), message


def test_more_bytes_than_announced(server):
    created = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=3))
    code, message = error_of(server.write_upload, created.name, b"abcdef", 0)
    assert code in (INVALID, grpc.StatusCode.OUT_OF_RANGE), message


def test_request_id_with_another_payload(server, model, dataset):
    def create(epochs):
        return server.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(request_id="req-1", spec=spec_pb.FineTuningSpec(
            base_model=model, dataset=dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=epochs))))
    first, again = create(1), create(1)
    assert first.name == again.name
    code, message = error_of(create, 2)
    assert code == grpc.StatusCode.ALREADY_EXISTS and "request_id" in message
    assert server.wait(first.name).state == Job.STATE_SUCCEEDED


# Models -------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def broken(tiny_bert, tmp_path):
    target = tmp_path / "model"
    shutil.copytree(tiny_bert, target)
    return target


def edit_config(directory, **changes):
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config.update(changes)
    path.write_text(json.dumps(config))


def edit_header(directory, change):
    """Rewrites the safetensors header with change(header)."""
    path = directory / "model.safetensors"
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])


def first_tensor(header):
    return next(name for name in sorted(header) if name != "__metadata__")


def overlap(header):
    a, b = [n for n in sorted(header, key=lambda n: header[n].get("data_offsets", [0])[0]) if n != "__metadata__"][:2]
    length = header[b]["data_offsets"][1] - header[b]["data_offsets"][0]
    start = header[a]["data_offsets"][0] + 4
    header[b]["data_offsets"] = [start, start + length]


def shape_overflow(header):
    header[first_tensor(header)]["shape"] = [1 << 62, 1 << 62]


def drop_tensor(directory):
    import safetensors.torch
    path = directory / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    del tensors["encoder.layer.1.attention.self.query.weight"]
    safetensors.torch.save_file(tensors, path)


def nan_tensor(directory):
    import safetensors.torch
    path = directory / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["encoder.layer.0.output.dense.weight"][3, 4] = float("nan")
    safetensors.torch.save_file(tensors, path)


@pytest.mark.parametrize("damage, words", [
    (lambda d: edit_config(d, hidden_size=1 << 40), ["hidden_size"]),
    (lambda d: edit_config(d, num_hidden_layers=10 ** 9), ["num_hidden_layers"]),
    (lambda d: edit_config(d, vocab_size=-5), ["vocab_size"]),
    (lambda d: edit_config(d, num_attention_heads=5), ["num_attention_heads"]),
    (lambda d: edit_config(d, model_type="bret"), ["bret", "bert"]),
    (lambda d: edit_config(d, hidden_act="swishy"), ["hidden_act"]),
    (lambda d: (d / "config.json").write_text("{"), ["config.json"]),
    (lambda d: edit_header(d, overlap), ["overlap"]),
    (lambda d: edit_header(d, shape_overflow), ["shape"]),
    (drop_tensor, ["encoder.layer.1.attention.self.query.weight"]),
    (nan_tensor, ["encoder.layer.0.output.dense.weight"]),
    (lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 100), ["model.safetensors"]),
    (lambda d: (d / "model.safetensors").unlink(), ["model.safetensors"]),
    (lambda d: (d / "tokenizer.json").write_text('{"version": "1.0"}'), ["tokenizer.json"]),
    (lambda d: (d / "tokenizer.json").write_text("[" * 100000), ["tokenizer.json"]),
], ids=["absurd-hidden", "absurd-layers", "negative-vocab", "heads", "unknown-architecture", "activation", "cut-config", "overlap", "shape-overflow", "missing-tensor",
        "nan", "not-safetensors", "no-weights", "not-a-tokenizer", "deep-tokenizer"])
def test_bad_model(server, broken, damage, words):
    damage(broken)
    code, message = error_of(server.import_model, broken, "broken")
    assert code == INVALID, (code, message)
    for word in words:
        assert word in message, message
    code, _ = error_of(server.models.GetModel, model_pb.GetModelRequest(name="models/broken"))
    assert code == grpc.StatusCode.NOT_FOUND


# Jobs ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("spec, words", [
    (dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=0)), ["n_epochs"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(batch_size=0)), ["batch_size"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(learning_rate=-1)), ["learning_rate"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(learning_rate=float("nan"))), ["learning_rate"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(max_length=100000)), ["max_length"]),
    (dict(hyperparameters=spec_pb.Hyperparameters(warmup_ratio=0.1, warmup_steps=3)), ["warmup"]),
    (dict(phases=[spec_pb.Phase(trainable=spec_pb.Trainable(patterns=spec_pb.NamePatterns(patterns=["encoder.block.*"])))]), ["encoder.block.*"]),
    (dict(phases=[spec_pb.Phase(trainable=spec_pb.Trainable(all=True, freeze=["nothing*"]))]), ["nothing*"]),
    (dict(evaluation=spec_pb.EvaluationSpec(metric_for_best_model="acuracy")), ["acuracy", "accuracy"]),
    (dict(resources=spec_pb.ResourceSpec(device="cuda:7")), ["cuda:7"]),
    (dict(task=spec_pb.TASK_TEXT_REGRESSION), ["task"]),
], ids=["no-epochs", "batch", "negative-rate", "nan-rate", "long", "two-warmups", "pattern", "freeze-pattern", "metric", "device", "task"])
def test_bad_spec(server, model, dataset, spec, words):
    code, message = error_of(server.create_job, model, dataset, **spec)
    assert code == INVALID, (code, message)
    for word in words:
        assert word in message, message


def test_unknown_model_and_dataset(server, model, dataset):
    code, message = error_of(server.create_job, "models/tiny-brt", dataset)
    assert code == grpc.StatusCode.NOT_FOUND and "models/tiny-brt" in message
    code, message = error_of(server.create_job, model, "datasets/none")
    assert code == grpc.StatusCode.NOT_FOUND and "datasets/none" in message


def test_loss_not_finite_fails_with_the_step_and_keeps_checkpoints(server, model, dataset):
    job = server.create_job(model, dataset, phases=[
        spec_pb.Phase(name="calm", max_steps=4, learning_rate=1e-4),
        spec_pb.Phase(name="wild", max_steps=200, learning_rate=0.99)],
        hyperparameters=spec_pb.Hyperparameters(batch_size=8, max_grad_norm=0, optimizer=spec_pb.OPTIMIZER_SGD, momentum=0.99,
                                                learning_rate_multiplier=1e30, warmup_ratio=0),
        checkpointing=spec_pb.CheckpointSpec(save_steps=1))
    done = server.wait(job.name)
    assert done.state == Job.STATE_FAILED
    assert "step" in done.error.message and "learning" in done.error.message
    info = job_pb.FailureInfo()
    assert done.error.details[0].Unpack(info)
    assert info.category in (job_pb.FailureInfo.CATEGORY_USER, job_pb.FailureInfo.CATEGORY_DATA) and info.step > 0


def test_validate_only_queues_nothing(server, model, dataset):
    answer = server.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(
        validate_only=True, spec=spec_pb.FineTuningSpec(base_model=model, dataset=dataset)))
    assert answer.name == "" and answer.effective_spec.hyperparameters.batch_size == 32
    names = [j.name for j in server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs]
    assert "" not in names


def test_filters_and_pages_teach(server, model, dataset):
    code, message = error_of(server.jobs.ListFineTuningJobs, job_pb.ListFineTuningJobsRequest(filter="stat = RUNNING"))
    assert code == INVALID and "state" in message
    code, message = error_of(server.jobs.ListFineTuningJobs, job_pb.ListFineTuningJobsRequest(page_token="garbage"))
    assert code == INVALID and "page_token" in message


@pytest.mark.parametrize("name", ["", "jobs/x", "fineTuningJobs/", "fineTuningJobs/../../etc", "fineTuningJobs/a/b"])
def test_bad_names(server, name):
    code, message = error_of(server.jobs.GetFineTuningJob, job_pb.GetFineTuningJobRequest(name=name))
    assert code in (INVALID, grpc.StatusCode.NOT_FOUND), message
