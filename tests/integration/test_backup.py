"""A backup of a server that trains, restored elsewhere: what is there is right, and its job goes on to the bytes of an undisturbed run."""
import os
import subprocess

import harness
from harness import Job, checkpoint_pb, spec_pb


def check(data_dir):
    return subprocess.run([os.path.join(harness.BUILD, "server", "main", "attune-server"), "--check", "--data-dir", data_dir], capture_output=True, text=True, timeout=harness.DEADLINE)


def model_digest(server, job):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job + "/checkpoints/last"), timeout=harness.DEADLINE).files
    return {file.path: file.sha256 for file in files}["model.safetensors"]


def test_a_backup_under_load_restores_and_its_job_goes_on(tmp_path):
    archive, restored = str(tmp_path / "backup.tar"), str(tmp_path / "restored")
    with harness.Server(str(tmp_path / "data")) as server:
        model = server.import_model(harness.make_tiny_bert(str(tmp_path / "bert")), "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(160)).name
        spec = dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=20, batch_size=4, learning_rate=1e-3), checkpointing=spec_pb.CheckpointSpec(save_steps=10, keep_last=1), seed=3)
        job = server.create_job(model, dataset, **spec).name
        server.wait_for_event(job, "checkpoint_saved", count=3)
        assert archive in harness.cli(server, "admin", "backup", archive).stdout
        assert "in use by another" in check(server.data_dir).stderr
        assert not os.path.exists(archive + ".part")
        assert not os.path.exists(os.path.join(server.data_dir, "backup-scratch"))
        again = harness.cli(server, "admin", "backup", archive, check=False)
        assert again.returncode != 0 and "is there already" in again.stderr, again.stderr
        done = server.wait(job)
        assert done.state == Job.STATE_SUCCEEDED, done
        undisturbed = model_digest(server, job)

    os.makedirs(restored)
    subprocess.run(["tar", "-xf", archive, "-C", restored], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=restored, check=True)
    assert check(restored).stdout.endswith("all as the database says\n")
    with harness.Server(restored) as server:
        done = server.wait(job)
        assert done.state == Job.STATE_SUCCEEDED, done
        assert done.attempt == 2, "it went on, and did not begin anew"
        resumed = next(event for event in server.events(job) if event.attempt == 2 and event.state_changed.to == "RUNNING")
        assert "goes on from step" in resumed.state_changed.reason, resumed
        assert model_digest(server, job) == undisturbed
        assert server.models.GetModel(harness.model_pb.GetModelRequest(name=model), timeout=harness.DEADLINE).name == model

    damaged = [os.path.join(folder, "model.safetensors") for folder, _, names in os.walk(os.path.join(restored, "jobs")) if "model.safetensors" in names][0]
    with open(damaged, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    found = check(restored)
    assert found.returncode == 1 and "is damaged" in found.stdout and "/checkpoints/" in found.stdout, found
