import hashlib

import grpc
import pytest

from attune_client import AttuneError, v1
from fake_server import cut, refuse

WEIGHTS = b"0123456789abcdefghijklmnopqrstuvwxyz"


# Checkpoints --------------------------------------------------------------------------------------------------------------------
def test_download_continues_after_cuts_and_in_a_later_call(server, client, tmp_path):
    server.checkpoints.add("config.json", b"{}")
    server.checkpoints.add("model.safetensors", WEIGHTS)
    server.checkpoints.add("optimizer.safetensors", b"moments", v1.CheckpointFile.PURPOSE_RESUME)
    server.checkpoints.cut_after = [1 << 60, 20] + [0] * 5
    with pytest.raises(AttuneError):
        client.download("j1", tmp_path)
    assert (tmp_path / "model.safetensors.part").read_bytes() == WEIGHTS[:20]
    server.checkpoints.cut_after, server.checkpoints.downloads = [10], []
    seen = []
    paths = client.download("j1", tmp_path, progress=lambda name, done, total: seen.append((done, total)))
    assert [p.name for p in paths] == ["config.json", "model.safetensors"]
    assert paths[1].read_bytes() == WEIGHTS
    assert [offset for _, _, offset in server.checkpoints.downloads] == [20, 30]
    assert server.checkpoints.downloads[0][0] == "fineTuningJobs/j1/checkpoints/30"
    assert seen[-1] == (38, 38)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert len(client.download("j1", tmp_path, resume_files=True)) == 3


def test_a_part_of_something_else_is_fetched_anew(server, client, tmp_path):
    server.checkpoints.add("model.safetensors", WEIGHTS)
    (tmp_path / "model.safetensors.part").write_bytes(b"XXXXXXXXXX")
    assert client.download("j1/30", tmp_path)[0].read_bytes() == WEIGHTS


def test_a_wrong_hash_twice_is_data_loss(server, client, tmp_path):
    server.checkpoints.add("model.safetensors", WEIGHTS)
    server.checkpoints.contents["model.safetensors"] = WEIGHTS.upper()
    with pytest.raises(AttuneError, match="arrived twice"):
        client.download("j1", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "", "."])
def test_nothing_is_written_outside_the_directory(server, client, tmp_path, path):
    server.checkpoints.add(path, b"x")
    with pytest.raises(ValueError, match="unsafe name"):
        client.download("j1", tmp_path / "model")


# Prediction -----------------------------------------------------------------------------------------------------------------------
def test_predict_takes_any_number_of_texts_and_pairs(server, client):
    predictions = client.predict("j1", [str(i) for i in range(599)] + [("a", "b")])
    assert len(predictions) == 600 and predictions[-1].labels == ["ab"]
    assert [len(r.inputs) for r in server.prediction.requests] == [256, 256, 88]
    assert [r.checkpoint.split("/")[-1] for r in server.prediction.requests] == ["best", "30", "30"]
    assert client.predict("j1", []) == []


def test_predict_sends_images_from_files_and_memory_in_parts(server, client, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"file")
    predictions = client.predict("j1/last", images=[str(path), path, b"bytes"] + [b"x"] * 64)
    assert [p.labels[0] for p in predictions[:4]] == ["file", "file", "bytes", "x"] and len(predictions) == 67
    assert [len(r.images) for r in server.prediction.requests] == [64, 3]
    client.predict("j1", images=[b"x"], views=4)
    assert server.prediction.requests[-1].views == 4
    server.prediction.requests.pop()
    assert [r.checkpoint.split("/")[-1] for r in server.prediction.requests] == ["last", "30"]
    assert not server.prediction.requests[0].inputs
    server.prediction.requests.clear()
    large = b"l" * (16 << 20)
    assert len(client.predict("j1", images=[large, large, b"x"])) == 3
    assert [len(r.images) for r in server.prediction.requests] == [2, 1]


def test_predict_refuses_images_that_cannot_be_sent(server, client, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    for images, words in (([b"x", tmp_path / "empty.png"], "empty.png has 0 bytes"), ([b"x" * ((16 << 20) + 1)], "an image has 16777217 bytes"), ([b""], "0 bytes")):
        with pytest.raises(ValueError, match=words):
            client.predict("j1", images=images)
    with pytest.raises(FileNotFoundError):
        client.predict("j1", images=[tmp_path / "none.png"])
    with pytest.raises(TypeError, match="must be a list"):
        client.predict("j1", images=str(tmp_path / "empty.png"))
    with pytest.raises(ValueError, match="one of the two"):
        client.predict("j1", ["text"], images=[b"x"])
    assert server.prediction.requests == []


def rows(done, total):
    return v1.EvaluateResponse(progress=v1.EvaluateProgress(rows_done=done, rows_total=total))


def test_evaluate_reports_progress_and_starts_anew_after_a_cut(server, client, sleeps):
    result = v1.EvaluateResponse(result=v1.CheckpointEvaluation(training_rows=3))
    server.prediction.streams = [[rows(0, 8), cut], [rows(0, 8)], [rows(0, 8), rows(8, 8), result]]
    seen = []
    assert client.evaluate("j1", progress=lambda done, total: seen.append((done, total))).training_rows == 3
    assert seen == [(0, 8), (0, 8), (0, 8), (8, 8)] and len(sleeps) == 2
    request = server.prediction.evaluations[-1]
    assert request == v1.EvaluateRequest(checkpoint="fineTuningJobs/j1/checkpoints/best")


def test_evaluate_sends_every_option(server, client):
    server.prediction.streams = [[v1.EvaluateResponse(result=v1.CheckpointEvaluation())]]
    client.evaluate("j1/20", dataset="d", split="validation", suspects=7, batch_size=4)
    assert server.prediction.evaluations == [v1.EvaluateRequest(checkpoint="fineTuningJobs/j1/checkpoints/20", dataset="datasets/d", split=v1.SPLIT_VALIDATION,
                                                                find_suspects=True, suspect_count=7, batch_size=4)]


def test_evaluate_faults(server, client):
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        client.evaluate("j1", split="dev")
    assert server.prediction.evaluations == []
    server.prediction.streams = [[lambda context: refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "other classes")]]
    with pytest.raises(AttuneError, match="other classes"):
        client.evaluate("j1")
    assert len(server.prediction.evaluations) == 1


# Keeping --------------------------------------------------------------------------------------------------------------------
def test_pin_and_unpin(server, client):
    assert client.pin("j1/30").pinned
    assert not client.pin("j1/best", pinned=False).pinned
    assert [(u.checkpoint.name, u.checkpoint.pinned, list(u.update_mask.paths)) for u in server.checkpoints.updates] == [
        ("fineTuningJobs/j1/checkpoints/30", True, ["pinned"]), ("fineTuningJobs/j1/checkpoints/best", False, ["pinned"])]


# Resuming to the bit --------------------------------------------------------------------------------------------------------
def scripted_replay(server, weights=b"weights"):
    def checkpoint(job, step, content=b"weights"):
        files = [v1.CheckpointFile(path=path, sha256=hashlib.sha256(path.encode() + data).hexdigest())
                 for path, data in (("model.safetensors", content), ("optimizer.safetensors", b"moments"))]
        return v1.Checkpoint(name=f"fineTuningJobs/{job}/checkpoints/{step}", step=step, resumable=True, files=files)
    server.checkpoints.listed = [checkpoint("j1", 30), checkpoint("j1", 20), checkpoint("j1", 10)]
    server.checkpoints.checkpoint = checkpoint("j9", 30, weights)
    server.jobs.job.effective_spec.seed = 3
    saved = v1.WatchFineTuningJobResponse(event=v1.JobEvent(sequence=1, checkpoint_saved=v1.CheckpointSaved(checkpoint="fineTuningJobs/j9/checkpoints/30", step=30)))
    end = v1.WatchFineTuningJobResponse(event=v1.JobEvent(sequence=2, state_changed=v1.StateChanged(to="CANCELLED", terminal=True)))
    server.jobs.streams = [[saved], [saved, end]]


def test_verify_resume_compares_and_removes_its_helper(server, client):
    scripted_replay(server)
    assert client.verify_resume("j1") == {"model.safetensors": True, "optimizer.safetensors": True}
    spec = server.jobs.created[0].spec
    assert (spec.seed, spec.warm_start.checkpoint, spec.warm_start.part) == (3, "fineTuningJobs/j1/checkpoints/20", v1.WarmStart.PART_ALL)
    assert spec.checkpointing.save_steps == 30
    assert server.jobs.removed == ["fineTuningJobs/j1"]  # the name that this server gives every job
    scripted_replay(server, weights=b"others")
    assert client.verify_resume("j1") == {"model.safetensors": False, "optimizer.safetensors": True}


def test_verify_resume_needs_two_checkpoints(server, client):
    scripted_replay(server)
    for step in (30, 15):
        with pytest.raises(ValueError, match="no two checkpoints that can be compared"):
            client.verify_resume("j1", step)
    server.jobs.job.adjustments.add(after_step=25)
    with pytest.raises(ValueError, match="was changed between its checkpoints at 20 and 30"):
        client.verify_resume("j1")
    assert not server.jobs.created
