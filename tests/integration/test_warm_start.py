"""Jobs that begin with another one's checkpoint, pinned checkpoints, and the proof that a job resumes to the bit."""
import json
import os
import subprocess
import sys

import grpc
import pytest

import crash_matrix
import harness
from harness import Job, checkpoint_pb, error_of, job_pb, spec_pb

DECISIVE = ("model.safetensors", "optimizer.safetensors", "training_state.json")
START = spec_pb.WarmStart


def digests(server, checkpoint):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=checkpoint)).files
    return {f.path: f.sha256 for f in files}


def steps(server, job):
    return sorted(c.step for c in server.checkpoints.ListCheckpoints(checkpoint_pb.ListCheckpointsRequest(parent=job, page_size=100)).checkpoints)


def finish(server, job):
    done = server.wait(job.name)
    assert done.state == Job.STATE_SUCCEEDED, done
    return done


@pytest.fixture(scope="module")
def rows(server):
    return server.import_dataset(harness.sentiment_csv(120)).name


def spec_of(**fields):
    """Two phases, 8 + 3 * 24 steps at most, each fifth of them saved."""
    return dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=4, learning_rate=1e-3), seed=3,
                checkpointing=spec_pb.CheckpointSpec(save_steps=5, keep_last=100), **fields)


@pytest.fixture(scope="module")
def source(server, model, rows):
    return finish(server, server.create_job(model, rows, **spec_of()))


def test_all_of_a_checkpoint_ends_in_the_bytes_of_the_undisturbed_run(server, model, rows, source):
    saved = steps(server, source.name)
    for step in (saved[0], saved[len(saved) // 2], saved[-2]):  # in both phases
        job = server.create_job(model, rows, **spec_of(warm_start=START(checkpoint=f"{source.name}/checkpoints/{step}", part=START.PART_ALL)))
        assert job.progress.step == step
        done = finish(server, job)
        metrics = [e.metrics.step for e in server.events(done.name) if e.WhichOneof("payload") == "metrics"]
        assert min(metrics) > step, "it began anew"
        own = steps(server, done.name)
        assert own == [s for s in saved if s > step], "none of the other job's"
        for common in own:
            there, here = (digests(server, f"{name}/checkpoints/{common}") for name in (source.name, done.name))
            assert {path: there[path] for path in DECISIVE} == {path: here[path] for path in DECISIVE}, (step, common)


def test_weights_alone_begin_anew(server, model, rows, source):
    still = spec_of(warm_start=START(checkpoint=source.name), phases=[spec_pb.Phase(name="one", max_steps=1, learning_rate=1e-30)])
    still["hyperparameters"].weight_decay = 0
    done = finish(server, server.create_job(model, rows, **still))
    assert done.effective_spec.warm_start.checkpoint == source.best_checkpoint
    assert done.effective_spec.warm_start.part == START.PART_WEIGHTS
    # A rate of next to nothing changes no weight of fp32.
    assert digests(server, f"{done.name}/checkpoints/1")["model.safetensors"] == digests(server, source.best_checkpoint)["model.safetensors"]


def test_another_past_is_refused_by_field(server, model, rows, source):
    start = START(checkpoint=f"{source.name}/checkpoints/last", part=START.PART_ALL)
    other = spec_of(warm_start=start)
    other["seed"] = 4
    code, message = error_of(server.create_job, model, rows, **other)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "spec.seed: is not that of" in message, message
    more = server.import_dataset(harness.sentiment_csv(60, labels=("bad", "good"))).name
    code, message = error_of(server.create_job, model, more, **spec_of(warm_start=START(checkpoint=source.name)))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "negative, positive, and this job has the classes bad, good" in message, message


def test_a_checkpoint_at_the_end_leaves_nothing_to_train(server, model, rows, source):
    done = server.wait(server.create_job(model, rows, **spec_of(warm_start=START(checkpoint=f"{source.name}/checkpoints/last", part=START.PART_ALL))).name)
    assert done.state == Job.STATE_FAILED and "nothing is left to train" in done.error.message, done
    assert done.attempt == 1, "a fault of the spec is not tried again"


def test_verify_resume(server, source):
    done = harness.cli(server, "jobs", "verify-resume", source.name)
    assert "to the bit" in done.stdout
    for path in DECISIVE:
        assert any(line.split()[:2] == [path, "equal"] for line in done.stdout.splitlines()), done.stdout
    first = steps(server, source.name)[0]
    told = json.loads(harness.cli(server, "jobs", "verify-resume", source.name, "--from", str(first), "--output", "json").stdout)
    assert told["equal"] and told["from"].endswith(f"/{first}"), told
    names = [job.name for job in server.jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest(page_size=1000)).fine_tuning_jobs if "replay of" in job.display_name]
    assert not names, "the helper jobs are gone"


def test_verify_resume_of_augmented_images_with_averaged_weights(server, tmp_path):
    out = str(tmp_path / "mobilenet")
    subprocess.run([sys.executable, os.path.join(harness.SOURCE, "tools", "import_torchvision.py"), "--reference-seed", "1", "--architecture", "mobilenet_v2", "--set",
                    "width_mult=0.25", "--set", "image_size=32", "--out", out], check=True, stdout=subprocess.DEVNULL)
    images = server.import_dataset(crash_matrix.pictures(), "pictures.tar").name
    job = finish(server, server.create_job(server.import_model(out, "tiny-mobilenet").name, images, seed=3, checkpointing=spec_pb.CheckpointSpec(save_steps=7, keep_last=100),
                                           hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=4, learning_rate=1e-3, ema_decay=0.9)))
    for step in steps(server, job.name)[:-1]:
        assert "to the bit" in harness.cli(server, "jobs", "verify-resume", job.name, "--from", str(step)).stdout


def test_a_pinned_checkpoint_outlives_retention_and_a_restart(own_server, tiny_bert):
    server = own_server
    model = server.import_model(tiny_bert, "tiny-bert").name
    rows = server.import_dataset(harness.sentiment_csv(120)).name
    job = server.create_job(model, rows, checkpointing=spec_pb.CheckpointSpec(save_steps=3, keep_last=1), seed=3,
                            hyperparameters=spec_pb.Hyperparameters(n_epochs=10, batch_size=4, learning_rate=1e-3))
    server.wait_for_event(job.name, "checkpoint_saved")
    server.jobs.PauseFineTuningJob(job_pb.PauseFineTuningJobRequest(name=job.name))  # so that the checkpoint is still there when the command line comes for it
    server.wait_for_state(job.name, "PAUSED")
    step = steps(server, job.name)[-1]
    assert "is pinned" in harness.cli(server, "checkpoints", "pin", f"{job.name}/checkpoints/{step}").stdout
    server.kill()
    server.start()
    server.jobs.ResumeFineTuningJob(job_pb.ResumeFineTuningJobRequest(name=job.name))
    done = finish(server, job)
    kept = steps(server, done.name)
    assert step in kept and len(kept) <= 4, kept  # the last, the best, one besides, and the pinned
    code, message = error_of(server.checkpoints.DeleteCheckpoint, checkpoint_pb.DeleteCheckpointRequest(name=f"{job.name}/checkpoints/{step}"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "unpin it first" in message, message
    warm = server.create_job(model, rows, warm_start=START(checkpoint=f"{job.name}/checkpoints/{step}"),
                             hyperparameters=spec_pb.Hyperparameters(n_epochs=50, batch_size=4))
    code, message = error_of(server.jobs.DeleteFineTuningJob, job_pb.DeleteFineTuningJobRequest(name=job.name))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and warm.name in message, message
    harness.cli(server, "jobs", "cancel", warm.name, "--wait")
    assert "is not pinned" in harness.cli(server, "checkpoints", "unpin", f"{job.name}/checkpoints/{step}").stdout
    server.jobs.DeleteFineTuningJob(job_pb.DeleteFineTuningJobRequest(name=job.name))
