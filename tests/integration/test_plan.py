"""Plans of tiny jobs with real workers: against what the job then has and takes, beside a running job, and what is wrong with requests."""
import os
import threading

import grpc
import pytest

import harness
from harness import Job, error_of, job_pb, spec_pb


def spec(model, dataset, **fields):
    hyperparameters = spec_pb.Hyperparameters(n_epochs=3, batch_size=16, learning_rate=3e-3)
    return spec_pb.FineTuningSpec(base_model=model, dataset=dataset, hyperparameters=hyperparameters, **fields)


def plan(server, of):
    return server.jobs.PlanFineTuningJob(job_pb.PlanFineTuningJobRequest(spec=of), timeout=harness.DEADLINE)


def outputs(server):
    directory = os.path.join(server.data_dir, "jobs")
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def test_a_plan_is_of_the_job_that_follows(server, model, dataset):
    wanted = spec(model, dataset)
    planned = plan(server, wanted)
    assert planned.fits and planned.largest_batch_size == 16 and planned.accumulation_steps == 1
    assert planned.summary.startswith("fits: needs ")
    memory = planned.memory
    parts = memory.runtime_bytes + memory.parameters_bytes + memory.gradients_bytes + memory.optimizer_bytes + memory.activations_bytes
    assert parts == memory.peak_bytes and memory.peak_bytes < planned.memory_limit_bytes
    assert memory.optimizer_bytes == 2 * memory.gradients_bytes > 0
    assert planned.total_seconds_low < planned.total_seconds < planned.total_seconds_high
    created = server.jobs.CreateFineTuningJob(job_pb.CreateFineTuningJobRequest(spec=wanted))
    done = server.wait(created.name)
    assert done.state == Job.STATE_SUCCEEDED
    assert planned.effective_spec == done.effective_spec
    assert planned.total_steps == done.progress.total_steps
    # Tiny jobs are nearly all runtime; tools/bench plan measures real ones.
    assert memory.peak_bytes == pytest.approx(done.progress.peak_memory_bytes, rel=0.15)
    checkpoint = server.checkpoints.GetCheckpoint(harness.checkpoint_pb.GetCheckpointRequest(name=done.best_checkpoint))
    assert planned.checkpoint_bytes == pytest.approx(checkpoint.size_bytes, rel=0.05)
    assert outputs(server) == [done.name.split("/")[1]], "what the plan wrote is gone"


def test_two_plans_at_once_beside_a_job(server, model, dataset):
    running = server.create_job(model, dataset, hyperparameters=spec_pb.Hyperparameters(n_epochs=200, batch_size=8))
    server.wait_for_state(running.name, "RUNNING")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(plan(server, spec(model, dataset)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 2 and all(answer.fits for answer in answers)
    server.jobs.CancelFineTuningJob(job_pb.CancelFineTuningJobRequest(name=running.name))
    assert server.wait(running.name).attempt == 1, "the job kept its worker"


def test_faults_are_those_of_create(server, model, dataset):
    for broken in (spec(model, dataset, lora=spec_pb.LoraSpec(r=1000)), spec(model, "datasets/none"), spec("models/none", dataset), spec_pb.FineTuningSpec()):
        planned = error_of(server.jobs.PlanFineTuningJob, job_pb.PlanFineTuningJobRequest(spec=broken))
        created = error_of(server.jobs.CreateFineTuningJob, job_pb.CreateFineTuningJobRequest(spec=broken))
        assert planned == created and planned[0] in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_a_caller_who_leaves_ends_it(server, model, dataset):
    before = outputs(server)
    call = server.jobs.PlanFineTuningJob.future(job_pb.PlanFineTuningJobRequest(spec=spec(model, dataset)))
    harness.wait_until(lambda: len(outputs(server)) > len(before), "the plan to begin")
    call.cancel()
    harness.wait_until(lambda: outputs(server) == before, "what it wrote to be removed")


def test_the_command_line_shows_it(server, model, dataset):
    shown = harness.cli(server, "jobs", "plan", "--base-model", model, "--dataset", dataset, "--batch-size", "8")
    assert shown.stdout.startswith("Fits: needs ") and "activations" in shown.stdout and "in 9 of 10 cases" in shown.stdout
