"""A full disk, for real: the data directory is on a small tmpfs. Needs root; skipped with a message elsewhere."""
import errno
import os
import subprocess

import grpc
import pytest

import harness
from harness import Job, error_of, spec_pb, upload_pb


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


# The server refuses new uploads that would leave less than 256 MiB free; the disk starts a little larger.
def fill(path, leave):
    """Leaves about `leave` bytes free."""
    free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    file = open(path / "filler", "ab", buffering=0)
    with file:
        try:
            for _ in range(max(0, free - leave) >> 16):
                file.write(bytes(1 << 16))
        except OSError as error:  # a running job takes its share meanwhile: full is full
            assert error.errno == errno.ENOSPC


def test_upload_and_checkpoint(small_disk, tiny_bert):
    with harness.Server(small_disk / "data") as server:
        model = server.import_model(tiny_bert, "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(80)).name

        # The disk fills while bytes arrive: the upload says so, keeps what is committed, and goes on when there is room.
        content = os.urandom(4 << 20)
        created = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=len(content)))
        fill(small_disk, 1 << 20)
        code, message = error_of(server.write_upload, created.name, content, 0)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in message, message
        (small_disk / "filler").unlink()
        state = server.uploads.GetUpload(upload_pb.GetUploadRequest(name=created.name))
        done = server.write_upload(created.name, content, state.committed_bytes)
        assert done.state == upload_pb.Upload.STATE_COMPLETE
        server.uploads.DeleteUpload(upload_pb.DeleteUploadRequest(name=created.name))

        # The disk fills under a running job: it fails with a RESOURCE error or waits for room, and its last good checkpoint stays.
        job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=200, batch_size=4),
                                checkpointing=spec_pb.CheckpointSpec(save_steps=20))
        server.wait_for_event(job.name, "checkpoint_saved")
        fill(small_disk, 100 << 10)
        warned = None
        for event in server.events(job.name):
            if "space" in event.message or "space" in event.log_line.text or "disk" in event.message:
                warned = event
                break
        assert warned is not None
        (small_disk / "filler").unlink()
        server.jobs.CancelFineTuningJob(harness.job_pb.CancelFineTuningJobRequest(name=job.name))
        done = server.wait(job.name)
        assert done.state in (Job.STATE_CANCELLED, Job.STATE_FAILED)
        kept = server.checkpoints.ListCheckpoints(harness.checkpoint_pb.ListCheckpointsRequest(parent=job.name)).checkpoints
        assert kept
        server.download(kept[0].name, small_disk / "out")
