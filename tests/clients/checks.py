"""Whether the scenario of docs/conformance.md was done, by what the server says of it: a client's own words are believed where they agree with that."""
import hashlib

import harness
import world as world_module
from harness import Job, checkpoint_pb, common_pb, dataset_pb, job_pb, prediction_pb, upload_pb

# Words that each step prints after its name.
STEPS = {"upload": 1, "bad_row": None, "import": 2, "create": 1, "watch": 2, "pause_resume_cancel": 1, "pages": 1, "download": 1, "predict": 2}
TEXTS = ["the film was great and the food was nice", "the book was awful and we hate it"]


def parse(output):
    """{step: [word, ...]} of lines "ok STEP WORD...". bad_row has one, the rest of its line. Other lines, or steps that are missing or out of order, are a fault."""
    said = {}
    for line in output.splitlines():
        ok, step, rest = (line.split(" ", 2) + ["", ""])[:3]
        assert ok == "ok" and step in STEPS and step not in said, f"not a line of the scenario: {line!r}"
        said[step] = [rest] if STEPS[step] is None else rest.split(" ")
        assert STEPS[step] in (None, len(said[step])), line
    assert list(said) == list(STEPS), output
    return said


def check(world, output):
    said = parse(output)
    for part in PARTS:
        part(world, said)


def check_calls(world, said):
    calls = world.calls()
    assert calls.get(("UploadService/GetUpload", "OK"), 0) >= 1, "only the server knows what has arrived"
    assert calls.get(("DatasetService/ImportDataset", "INVALID_ARGUMENT"), 0) == 1
    assert calls.get(("FineTuningJobService/ListFineTuningJobs", "OK"), 0) >= 2, "a page for each job"
    # What was cut goes on to its end. A call that a client has given up counts when the server notices.
    expected = {("CheckpointService/GetCheckpoint", "OK"), ("PredictionService/Predict", "OK")}
    expected |= {(method, code) for method in ("FineTuningJobService/WatchFineTuningJob", "CheckpointService/DownloadCheckpointFile") for code in ("OK", "CANCELLED")}
    harness.wait_until(lambda: expected <= {key for key, count in world.calls().items() if count}, f"the calls {sorted(expected)}")


def check_upload(world, said):
    upload = world.server.uploads.GetUpload(upload_pb.GetUploadRequest(name=said["upload"][0]))
    content = world.dataset_file.read_bytes()
    assert (upload.state, upload.filename, upload.project) == (upload_pb.Upload.STATE_COMPLETE, world.dataset_file.name, "team-a")
    assert upload.sha256 == hashlib.sha256(content).hexdigest()
    writes = [resource for method, resource, _ in world.audit() if method == "WriteUpload"]
    assert writes.count(upload.name) >= 2, "the stream that was cut, and the one that went on"


def check_imports(world, said):
    assert said["bad_row"][0] == f"files[0]: {world.bad_dataset_file.name} line {world_module.BAD_LINE} column label"
    dataset = world.server.datasets.GetDataset(dataset_pb.GetDatasetRequest(name=said["import"][0]))
    assert dataset.state == dataset_pb.Dataset.STATE_READY and dataset.report.rows_used == int(said["import"][1]) == world_module.ROWS
    splits = {split.split: split.rows for split in dataset.report.splits}
    assert splits[dataset_pb.SPLIT_VALIDATION] == splits[dataset_pb.SPLIT_TEST] == world_module.ROWS // 10
    listed = world.server.datasets.ListDatasets(dataset_pb.ListDatasetsRequest()).datasets
    assert [entry.name for entry in listed if entry.state == dataset_pb.Dataset.STATE_READY] == [dataset.name], "one import, one dataset"


def check_jobs(world, said):
    first, second = said["create"][0], said["pause_resume_cancel"][0]
    jobs = {job.name: job for job in world.server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs}
    assert set(jobs) == {first, second} and said["pages"] == ["2"], "one request_id, one job"
    assert jobs[first].state == Job.STATE_SUCCEEDED and jobs[second].state == Job.STATE_CANCELLED
    for job, epochs in ((jobs[first], 3), (jobs[second], 200)):
        asked = job.spec.hyperparameters
        assert (job.spec.base_model, job.spec.dataset) == (world.model, said["import"][0])
        assert (asked.n_epochs, asked.batch_size, asked.learning_rate) == (epochs, 8, 1e-3)
    last = [event.sequence for event in world.server.events(first)][-1]
    assert said["watch"] == [first, str(last)]
    states = [event.state_changed.to for event in world.server.events(second) if event.WhichOneof("payload") == "state_changed"]
    assert [state for state in states if state in ("RUNNING", "PAUSED", "CANCELLED")] == ["RUNNING", "PAUSED", "RUNNING", "CANCELLED"]


def check_changes(world, said):
    done = [(method, resource) for method, resource, code in world.audit() if code == "OK"]
    assert done.count(("CreateFineTuningJob", said["create"][0])) == 2, "the same request twice, and one job"
    for verb in ("Pause", "Resume", "Cancel"):
        assert done.count((f"{verb}FineTuningJob", said["pause_resume_cancel"][0])) == 1


def check_download(world, said):
    found = world.server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=f"{said['create'][0]}/checkpoints/best"))
    entry, = (file for file in found.files if file.path == "model.safetensors")
    assert said["download"] == [entry.sha256]


def check_prediction(world, said):
    request = prediction_pb.PredictRequest(checkpoint=said["create"][0], inputs=[common_pb.TextInput(text=text) for text in TEXTS])
    answer = world.server.prediction.Predict(request, timeout=harness.DEADLINE)
    assert said["predict"] == [prediction.labels[0] for prediction in answer.predictions] == ["positive", "negative"]


# check_calls is first: the others' own questions add to what it counts.
PARTS = [check_calls, check_upload, check_imports, check_jobs, check_changes, check_download, check_prediction]
