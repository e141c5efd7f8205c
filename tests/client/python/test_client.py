import hashlib
import io
import tarfile
import threading

import grpc
import pytest

from attune_client import AttuneError, Client, JobFailed, RetryPolicy, v1
from fake_server import cut, refuse

CONTENT = bytes(range(256)) * 4000  # 1 MB


@pytest.fixture
def reviews(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_bytes(CONTENT)
    return path


# Calls and errors -----------------------------------------------------------------------------------------------------------
def get_model(client):
    return client.call(client.models.GetModel, v1.GetModelRequest(name="models/m"))


def test_transient_faults_are_retried_with_backoff(server, client, sleeps):
    server.models.failures = [cut, cut]
    assert get_model(client).name == "models/m"
    assert sleeps == pytest.approx([0.15, 0.3])


def test_the_last_try_raises(server, client, sleeps):
    server.models.failures = [cut] * 9
    with pytest.raises(AttuneError) as caught:
        get_model(client)
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE
    assert len(server.models.requests) == 5 and len(sleeps) == 4


def test_the_server_may_ask_for_a_wait(server, client, sleeps):
    server.models.failures = [lambda c: refuse(c, grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after=7)]
    get_model(client)
    assert sleeps == [7]


def test_an_error_of_the_server_is_taken_apart_and_not_retried(server, client, sleeps):
    server.models.failures = [lambda c: refuse(c, grpc.StatusCode.INVALID_ARGUMENT, "2 faults", "INVALID_SPEC",
                                               [("spec.seed", "bad"), ("spec.dataset", "is required")], metadata={"dataset": "datasets/d"})]
    with pytest.raises(AttuneError) as caught:
        get_model(client)
    error = caught.value
    assert (error.reason, error.metadata["dataset"], error.violations[1].field) == ("INVALID_SPEC", "datasets/d", "spec.dataset")
    assert str(error) == "INVALID_ARGUMENT: 2 faults\n  spec.seed: bad\n  spec.dataset: is required"
    assert sleeps == []


def test_a_bug_of_the_server_is_not_a_fault_of_the_connection(server, client, sleeps):
    server.models.failures = [lambda c: refuse(c, grpc.StatusCode.INTERNAL, "bug")]
    with pytest.raises(AttuneError):
        get_model(client)
    assert sleeps == []


# Uploads --------------------------------------------------------------------------------------------------------------------
def test_an_upload_goes_on_from_the_committed_size(server, client, sleeps, reviews):
    server.uploads.cut_after = [300_000, 0, 250_001]
    seen = []
    upload = client.upload(reviews, progress=lambda name, done, total: seen.append((name, done, total)))
    assert server.uploads.contents[upload.name] == CONTENT
    assert server.uploads.offsets == [0, 300_000, 300_000, 550_001]
    assert sleeps == pytest.approx([0.15, 0.15, 0.3])
    assert seen[0] == ("reviews.csv", 0, len(CONTENT)) and seen[-1] == ("reviews.csv", len(CONTENT), len(CONTENT))


def test_a_second_run_continues_and_a_third_sends_nothing(server, client, reviews):
    server.uploads.cut_after = [400_000] + [0] * 9
    with pytest.raises(AttuneError):
        client.upload(reviews)
    server.uploads.cut_after = []
    server.uploads.offsets = []
    client.upload(reviews)
    client.upload(reviews)
    assert server.uploads.offsets == [400_000]


def test_an_expired_upload_is_made_anew(server, client, reviews):
    server.uploads.forget = True
    client.upload(reviews)
    assert len(server.uploads.by_request_id) == 2


def test_a_wrong_hash_is_mended_once(server, client, reviews):
    server.uploads.corrupt = 1
    client.upload(reviews)
    reviews.write_bytes(CONTENT + b"x")
    server.uploads.corrupt = 2
    with pytest.raises(AttuneError) as caught:
        client.upload(reviews)
    assert caught.value.code == grpc.StatusCode.DATA_LOSS


def test_an_empty_file_is_refused_here(client, tmp_path):
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="is empty"):
        client.upload(tmp_path / "empty.csv")


def test_a_server_that_takes_nothing_counts_as_cut(server, sleeps, reviews):
    release = server.uploads.hang = threading.Event()
    with Client(server.address, stall_timeout=0.1, retry=RetryPolicy(sleep=sleeps.append)) as client:
        assert client.upload(reviews).state == v1.Upload.STATE_COMPLETE
    release.set()
    assert len(sleeps) == 1


# Datasets and models ----------------------------------------------------------------------------------------------------------
def ready(state=v1.Dataset.STATE_READY):
    return v1.ImportDatasetResponse(dataset=v1.Dataset(name="datasets/d", state=state, error="no rows"))


def test_files_by_split_become_a_dataset(server, client, tmp_path):
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text(name)
    server.datasets.imports = [[v1.ImportDatasetResponse(rows_read=5), ready()]]
    dataset = client.import_dataset({"train": [tmp_path / "a.csv", tmp_path / "b.csv"], "test": tmp_path / "c.csv"}, dataset_id="d",
                                    max_bad_rows=3, tokenizer_model="minilm")
    assert dataset.name == "datasets/d"
    request = server.datasets.requests[0]
    assert [f.split for f in request.files] == [v1.SPLIT_TRAIN, v1.SPLIT_TRAIN, v1.SPLIT_TEST]
    assert (request.dataset_id, request.max_bad_rows, request.tokenizer_model) == ("d", 3, "models/minilm")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        client.import_dataset({"dev": tmp_path / "a.csv"})


def test_a_folder_goes_as_one_archive(server, client, tmp_path):
    folder = tmp_path / "photos"
    for name in ("dog/2.jpg", "cat/1.jpg", ".hidden/x", "cat/.DS_Store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    server.datasets.imports = [[ready()], [ready()]]
    client.import_dataset(folder)
    client.import_dataset(folder)
    first, second = (request.files[0].upload for request in server.datasets.requests)
    assert first == second, "the same folder gives the same bytes, and so the same upload"
    content = server.uploads.contents[first]
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as archive:
        assert archive.getnames() == ["cat", "cat/1.jpg", "dog", "dog/2.jpg"]
        assert archive.extractfile("cat/1.jpg").read() == b"cat/1.jpg"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="has no files"):
        client.import_dataset(empty)


def test_a_cut_import_is_asked_for_again_with_the_same_id(server, client, reviews):
    server.datasets.imports = [[v1.ImportDatasetResponse(rows_read=5), cut], [ready(v1.Dataset.STATE_IMPORTING)]]
    server.datasets.answers = [ready(v1.Dataset.STATE_IMPORTING).dataset, ready().dataset]
    assert client.import_dataset(reviews).state == v1.Dataset.STATE_READY
    first, second = server.datasets.requests
    assert first.request_id and first.request_id == second.request_id


def test_a_failed_import_raises(server, client, reviews):
    server.datasets.imports = [[ready(v1.Dataset.STATE_FAILED)]]
    with pytest.raises(AttuneError, match="no rows"):
        client.import_dataset(reviews)


def test_a_model_directory(server, client, tmp_path):
    directory = tmp_path / "All_MiniLM.v2"
    directory.mkdir()
    with pytest.raises(FileNotFoundError, match="no config.json, no model.safetensors"):
        client.import_model(directory)
    (directory / "config.json").write_text('{"model_type": "bert"}')
    for name in ("model.safetensors", "vocab.txt", "README.md", "preprocessor_config.json"):
        (directory / name).write_text(name)
    with pytest.raises(FileNotFoundError, match="no tokenizer.json"):
        client.import_model(directory)
    (directory / "tokenizer.json").write_text("{}")
    assert client.import_model(directory).name == "models/all-minilm-v2"
    assert [f.path for f in server.models.requests[0].files] == ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]


def test_an_image_models_directory(server, client, tmp_path):
    (tmp_path / "model.safetensors").write_text("weights")
    (tmp_path / "vocab.txt").write_text("a stray file")
    (tmp_path / "config.json").write_text('{"model_type": "resnet50"}')
    client.import_model(tmp_path, model_id="resnet")
    assert [f.path for f in server.models.requests[0].files] == ["config.json", "model.safetensors"]
    (tmp_path / "preprocessor_config.json").write_text("{}")
    client.import_model(tmp_path, model_id="resnet")
    assert [f.path for f in server.models.requests[1].files] == ["config.json", "model.safetensors", "preprocessor_config.json"]


@pytest.mark.parametrize("config", ["{", "[]", "{}", '{"model_type": 7}', '{"model_type": "mamba"}'])
def test_a_config_that_says_nothing_is_for_the_server_to_judge(server, client, tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    for name in ("model.safetensors", "vocab.txt"):
        (tmp_path / name).write_text(name)
    client.import_model(tmp_path, model_id="m")
    assert [f.path for f in server.models.requests[0].files] == ["config.json", "model.safetensors", "vocab.txt"]


# Jobs -------------------------------------------------------------------------------------------------------------------------
def test_create_merges_spec_and_arguments_and_is_safe_to_retry(server, client):
    server.jobs.failures = [cut]
    client.create_job({"hyperparameters": {"n_epochs": 3, "batch_size": 8}, "phases": [{"name": "head", "trainable": {"head_only": True}}]},
                      base_model="minilm", dataset="datasets/d", labels={"team": "nlp"}, n_epochs=1, learning_rate=5e-5)
    first, second = server.jobs.created
    assert first.request_id and first.request_id == second.request_id
    spec = first.spec
    assert (spec.base_model, spec.dataset) == ("models/minilm", "datasets/d")
    assert (spec.hyperparameters.n_epochs, spec.hyperparameters.batch_size, spec.hyperparameters.learning_rate) == (1, 8, 5e-5)
    assert spec.phases[0].trainable.head_only and first.labels["team"] == "nlp"


def test_a_misspelt_hyperparameter_raises(client):
    with pytest.raises(Exception, match="learning_rat"):
        client.create_job(base_model="m", dataset="d", learning_rat=1)


def test_plan_sends_what_create_would(server, client):
    plan = client.plan({"hyperparameters": {"n_epochs": 3}}, base_model="minilm", dataset="d", batch_size=8)
    (request,) = server.jobs.planned
    assert plan.fits and not server.jobs.created
    assert (request.spec.base_model, request.spec.dataset) == ("models/minilm", "datasets/d")
    assert (request.spec.hyperparameters.n_epochs, request.spec.hyperparameters.batch_size) == (3, 8)


def event(sequence, terminal=False):
    changed = v1.StateChanged(terminal=True) if terminal else None
    return v1.WatchFineTuningJobResponse(event=v1.JobEvent(sequence=sequence, state_changed=changed))


HEARTBEAT = v1.WatchFineTuningJobResponse(heartbeat=v1.Heartbeat())


def test_a_watch_yields_each_event_once_through_cuts_repeats_and_gaps(server, client):
    server.jobs.stored = [v1.JobEvent(sequence=n) for n in range(1, 9)]
    server.jobs.streams = [
        [event(1), HEARTBEAT, event(2), cut],
        [event(2), event(1), event(3)],  # repeats, then ends in order
        [v1.WatchFineTuningJobResponse(lagged=v1.Lagged(dropped=4)), event(8), event(9, terminal=True), event(10)],
    ]
    assert [e.sequence for e in client.watch("j1")] == list(range(1, 10))
    assert server.jobs.watched_after == [0, 2, 3]


def test_a_watch_tells_what_a_waiting_job_waits_for(server, client):
    waiting = v1.WatchFineTuningJobResponse(waiting=v1.FineTuningJob(jobs_ahead=4))
    server.jobs.streams = [[event(1), waiting, event(2, terminal=True)], [waiting, event(1, terminal=True)]]
    ahead = []
    assert [e.sequence for e in client.watch("j1", on_waiting=lambda job: ahead.append(job.jobs_ahead))] == [1, 2]
    assert ahead == [4]
    assert [e.sequence for e in client.watch("j1")] == [1]


def test_a_watch_gives_up_when_the_server_stays_away(server, client, sleeps):
    with pytest.raises(AttuneError):
        list(client.watch("j1"))
    assert len(server.jobs.watched_after) == 30


def test_a_silent_stream_is_cut_and_continued(server, sleeps):
    release = threading.Event()
    server.jobs.streams = [[event(1), lambda c: release.wait(10)], [event(2, terminal=True)]]
    with Client(server.address, stall_timeout=0.1, retry=RetryPolicy(sleep=sleeps.append)) as client:
        assert [e.sequence for e in client.watch("j1")] == [1, 2]
    release.set()


def test_leaving_a_watch_early_ends_the_stream(server, client):
    ended = threading.Event()
    server.jobs.streams = [[lambda c: c.add_callback(ended.set) and None, event(1), lambda c: ended.wait(10)]]
    for _ in client.watch("j1"):
        break
    assert ended.wait(10)


def test_wait_returns_the_job_or_raises(server, client):
    server.jobs.streams = [[event(1, terminal=True)], [event(1, terminal=True)]]
    seen = []
    assert client.wait("j1", on_event=seen.append).name == "fineTuningJobs/j1" and len(seen) == 1
    server.jobs.job.state = v1.FineTuningJob.STATE_FAILED
    server.jobs.job.error.message = "the loss is not a number"
    with pytest.raises(JobFailed, match="fineTuningJobs/j1 is FAILED: the loss is not a number"):
        client.wait("j1")
