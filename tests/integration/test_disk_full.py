"""A full disk, for real: the data directory is on a small tmpfs. Needs root; skipped with a message elsewhere."""
import errno
import os
import subprocess

import grpc
import pytest

import harness
from harness import Job, error_of, spec_pb, upload_pb


def mount_small_disk(path, size):
    """A tmpfs at `path`; skips the test where mounting is not allowed."""
    os.makedirs(path)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """Mounts small disks and takes them away again: small_disk("data/jobs", "4m")."""
    mounted = []

    def mount(name, size):
        mount_small_disk(tmp_path / name, size)
        mounted.append(tmp_path / name)
        return tmp_path / name
    yield mount
    for path in mounted:
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


def test_upload_goes_on_when_there_is_room_again(small_disk, tmp_path):
    disk = small_disk("data/artifacts", "320m")
    with harness.Server(tmp_path / "data") as server:
        content = os.urandom(4 << 20)
        created = server.uploads.CreateUpload(upload_pb.CreateUploadRequest(filename="a.csv", size_bytes=len(content)))
        fill(disk, 1 << 20)
        code, message = error_of(server.write_upload, created.name, content, 0)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in message, message
        (disk / "filler").unlink()
        state = server.uploads.GetUpload(upload_pb.GetUploadRequest(name=created.name))
        done = server.write_upload(created.name, content, state.committed_bytes)
        assert done.state == upload_pb.Upload.STATE_COMPLETE


def test_job_keeps_its_last_good_checkpoint(small_disk, tmp_path, tiny_bert):
    disk = small_disk("data/jobs", "8m")
    with harness.Server(tmp_path / "data") as server:
        model = server.import_model(tiny_bert, "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(80)).name
        job = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=200, batch_size=4),
                                checkpointing=spec_pb.CheckpointSpec(save_steps=20))
        server.wait_for_event(job.name, "checkpoint_saved")
        fill(disk, 0)
        said = [e for e in until_space_is_mentioned(server, job.name)][-1]
        assert "space" in said.message + said.log_line.text
        (disk / "filler").unlink()
        server.jobs.CancelFineTuningJob(harness.job_pb.CancelFineTuningJobRequest(name=job.name))
        done = server.wait(job.name)
        assert done.state in (Job.STATE_CANCELLED, Job.STATE_FAILED)
        kept = server.checkpoints.ListCheckpoints(harness.checkpoint_pb.ListCheckpointsRequest(parent=job.name)).checkpoints
        assert kept
        server.download(kept[0].name, tmp_path / "out")


def until_space_is_mentioned(server, name):
    for event in server.events(name):
        yield event
        if "space" in event.message or "space" in event.log_line.text:
            return
