"""Kills and restarts: nothing that was acknowledged is lost."""
import hashlib
import os

import grpc
import pytest

import harness
from harness import Job, checkpoint_pb, error_of, job_pb, spec_pb, upload_pb


def long_job(server, tiny_bert, **fields):
    model = server.import_model(tiny_bert, "tiny-bert").name
    dataset = server.import_dataset(harness.sentiment_csv(160)).name
    hyper = spec_pb.Hyperparameters(n_epochs=12, batch_size=4, learning_rate=1e-3)
    return server.create_job(model, dataset, hyperparameters=hyper, checkpointing=spec_pb.CheckpointSpec(save_steps=10), seed=3, **fields)


def final_digest(server, job):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job + "/checkpoints/last")).files
    return {f.path: f.sha256 for f in files}["model.safetensors"]


def check_equals_undisturbed_run(server, job):
    """The same job on the same data, left in peace, ends in the same bytes."""
    undisturbed = server.create_job(job.spec.base_model, job.spec.dataset, seed=3, hyperparameters=job.spec.hyperparameters,
                                    checkpointing=job.spec.checkpointing)
    assert server.wait(undisturbed.name).state == Job.STATE_SUCCEEDED
    assert final_digest(server, job.name) == final_digest(server, undisturbed.name)


def test_killed_server_continues_the_job_from_its_last_checkpoint(own_server, tiny_bert, tmp_path):
    server = own_server
    job = long_job(server, tiny_bert)
    seen = []
    for event in server.events(job.name):
        seen.append(event)
        if event.WhichOneof("payload") == "checkpoint_saved" and event.checkpoint_saved.step >= 30:
            break
    saved = seen[-1].checkpoint_saved.step
    server.kill()
    server.start()
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    assert done.attempt == 2
    events = list(server.events(job.name))
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))
    assert events[:len(seen)] == seen, "events that a client had seen changed"
    resumed = [e.metrics.step for e in events if e.attempt == 2 and e.WhichOneof("payload") == "metrics"]
    assert min(resumed) > saved - 1, "it started over"
    check_equals_undisturbed_run(server, job)


def test_paused_job_frees_its_worker_and_ends_in_the_same_bytes(own_server, tiny_bert):
    server = own_server
    job = long_job(server, tiny_bert)
    server.wait_for_event(job.name, "checkpoint_saved", count=2)
    assert server.jobs.PauseFineTuningJob(job_pb.PauseFineTuningJobRequest(name=job.name)).state in (Job.STATE_PAUSING, Job.STATE_PAUSED)
    server.wait_for_state(job.name, "PAUSED")
    other = server.create_job(job.spec.base_model, job.spec.dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1))
    assert server.wait(other.name).state == Job.STATE_SUCCEEDED, "the slot is free meanwhile"
    server.kill()
    server.start()
    assert server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job.name)).state == Job.STATE_PAUSED
    server.jobs.ResumeFineTuningJob(job_pb.ResumeFineTuningJobRequest(name=job.name))
    assert server.wait(job.name).state == Job.STATE_SUCCEEDED
    check_equals_undisturbed_run(server, job)


def test_urgent_job_takes_the_place_of_another_which_ends_in_the_same_bytes(own_server, tiny_bert):
    server = own_server
    job = long_job(server, tiny_bert)
    server.wait_for_event(job.name, "checkpoint_saved", count=2)
    urgent = server.create_job(job.spec.base_model, job.spec.dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=1),
                               scheduling=spec_pb.SchedulingSpec(priority=10))
    assert server.wait(urgent.name).state == Job.STATE_SUCCEEDED
    assert server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=job.name)).state != Job.STATE_SUCCEEDED, "it was not interrupted"
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED and done.attempt == 2, done
    assert any(urgent.name in e.state_changed.reason for e in server.events(job.name))
    check_equals_undisturbed_run(server, job)


def test_killed_worker_is_replaced_and_the_job_goes_on(own_server, tiny_bert):
    server = own_server
    job = long_job(server, tiny_bert)
    server.wait_for_event(job.name, "checkpoint_saved", count=2)
    server.kill_workers()
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    states = [e.state_changed for e in server.events(job.name) if e.WhichOneof("payload") == "state_changed"]
    lost = [s for s in states if s.to == "QUEUED"][1:]
    # The idle worker was killed, too: where the job reached it before its death was known, that attempt is lost as well.
    assert 1 <= len(lost) <= 2 and done.attempt == len(lost) + 1
    assert any("signal 9" in s.reason for s in lost)


def test_terminated_server_hands_back_and_the_next_continues(own_server, tiny_bert):
    server = own_server
    job = long_job(server, tiny_bert)
    server.wait_for_event(job.name, "checkpoint_saved")
    assert server.stop() == 0
    assert not harness.worker_pids(server)
    server.start()
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    assert done.attempt == 2


def test_workers_die_with_the_server(own_server, tiny_bert):
    server = own_server
    job = long_job(server, tiny_bert)
    server.wait_for_event(job.name, "checkpoint_saved")
    workers = harness.worker_pids(server)
    assert workers
    server.kill()

    def gone(pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True
    harness.wait_until(lambda: all(map(gone, workers)), "workers to exit")


def test_cut_upload_continues_from_the_committed_size(own_server):
    server = own_server
    content = os.urandom(5 << 20)
    created = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(
        filename="data.jsonl", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))

    def cut():
        yield upload_pb.WriteUploadRequest(name=created.name, offset=0, data=content[:256 << 10])
        for begin in range(256 << 10, 3 << 20, 256 << 10):
            yield upload_pb.WriteUploadRequest(data=content[begin:begin + (256 << 10)])
        raise ConnectionError("the client's network went away")
    with pytest.raises(grpc.RpcError):
        server.uploads.WriteUpload(cut(), timeout=harness.DEADLINE)
    server.kill()
    server.start()
    state = server.uploads.GetUpload(upload_pb.GetUploadRequest(name=created.name))
    assert state.state == upload_pb.Upload.STATE_ACTIVE
    assert 0 <= state.committed_bytes <= 3 << 20
    code, message = error_of(server.write_upload, created.name, content, state.committed_bytes + 1)
    assert code == grpc.StatusCode.OUT_OF_RANGE and str(state.committed_bytes) in message
    done = server.write_upload(created.name, content, state.committed_bytes)
    assert done.state == upload_pb.Upload.STATE_COMPLETE
    assert done.sha256 == hashlib.sha256(content).hexdigest()


def test_upload_finished_before_the_kill_is_there_after_it(own_server):
    server = own_server
    done = server.upload(harness.sentiment_csv(40), "data.csv")
    server.kill()
    server.start()
    again = server.uploads.GetUpload(upload_pb.GetUploadRequest(name=done.name))
    assert again.state == upload_pb.Upload.STATE_COMPLETE and again.sha256 == done.sha256


def test_second_server_on_the_same_data_is_refused(own_server):
    second = harness.Server(own_server.data_dir)
    second.data_dir = own_server.data_dir
    with pytest.raises(RuntimeError, match=str(own_server.process.pid)):
        second.start()
