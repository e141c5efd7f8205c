"""`tools/bench checkpoints` (bench.py has its description): what saving costs, and how soon a killed job trains again."""
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time

from service import ROOT, harness, say
from harness import spec_pb


def when(event):
    return event.create_time.seconds + event.create_time.nanos * 1e-9


def spec(steps, save_steps):
    phase = spec_pb.Phase(name="all", learning_rate=5e-5, trainable=spec_pb.Trainable(all=True), max_steps=steps)
    return dict(hyperparameters=spec_pb.Hyperparameters(batch_size=32, max_steps=steps), phases=[phase], checkpointing=spec_pb.CheckpointSpec(save_steps=save_steps))


def metrics_of(attune, job):
    return [(when(event), event.metrics) for event in attune.server.events(job) if event.WhichOneof("payload") == "metrics"]


EVERY, AFTER = 50, 15  # steps between checkpoints; those after one that it may slow down


def step_seconds(attune, job):
    """Seconds of each step but the first, by when its metrics came."""
    times = {m.step: at for at, m in metrics_of(attune, job.name)}
    return {step: at - times[step - 1] for step, at in times.items() if step - 1 in times}


def lost_share(saving, plain):
    """What a checkpoint costs, as a share of the EVERY steps that it comes in: the two runs have the same batches, so the steps after a checkpoint are compared with the other
    run's, and the others say how fast the machine was in each."""
    after = {step for step in saving if step > EVERY and (step - 1) % EVERY < AFTER}
    others = [step for step in saving if step in plain and step not in after]
    pace = statistics.median(saving[step] / plain[step] for step in others)
    lost = sum(saving[step] - pace * plain[step] for step in after if step in plain)
    checkpoints = len({(step - 1) // EVERY for step in after})
    return lost / checkpoints / (EVERY * pace * statistics.mean(plain.values()))


def measure_throughput(attune, steps, rounds):
    """Samples/s with a checkpoint each 50 steps, and with none before the end, in turns; and the share that is lost, step by step."""
    speeds, shares = {"every 50 steps": [], "none": []}, []
    for turn in range(rounds):
        seconds = {}
        for name, save_steps in (("every 50 steps", EVERY), ("none", 10**6)):
            run = attune.run(**spec(steps, save_steps))
            seconds[name] = step_seconds(attune, run.job)
            speeds[name].append(steps * 32 / run.steps_seconds)
        shares.append(lost_share(seconds["every 50 steps"], seconds["none"]))
        say(f"round {turn + 1}: " + ", ".join(f"checkpoints {name}: {values[-1]:.1f} samples/s" for name, values in speeds.items()) + f"; lost after checkpoints: {100 * shares[-1]:.2f} %")
    return speeds, shares


def measure_stalls(attune, count):
    """Seconds that training stands still for each of `count` checkpoints, ten steps apart: the one before is on disk by then, as it is in a job that saves less often."""
    job = attune.run(**spec(10 * count + 1, 10)).job
    return sorted(m.values["checkpoint_stall_seconds"] for _, m in metrics_of(attune, job.name) if "checkpoint_stall_seconds" in m.values)


def read_checkpoints(attune):
    """So that they are in the page cache, which checkpoints are written past."""
    for folder, _, names in os.walk(os.path.join(attune.server.data_dir, "jobs")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                while file.read(1 << 24):
                    pass


def until_next_step(event, begin):
    """Seconds until the first step of a new attempt began, and until it ended."""
    return when(event) - 32 / event.metrics.values["samples_per_second"] - begin, when(event) - begin


def measure_restart(attune, cached):
    """The same from the start of a server whose predecessor was killed, with the checkpoint in the page cache or on disk alone."""
    job = attune.server.create_job(attune.model, attune.dataset.name, **spec(10**4, 20)).name
    attune.server.wait_for_event(job, "checkpoint_saved", count=1)
    attune.server.kill()
    if cached:
        read_checkpoints(attune)
    begin = time.time()
    attune.server.start()
    again = next(event for event in attune.server.events(job) if event.attempt == 2 and event.WhichOneof("payload") == "metrics")
    seconds = until_next_step(again, begin)
    attune.server.jobs.CancelFineTuningJob(harness.job_pb.CancelFineTuningJobRequest(name=job))
    attune.server.wait(job)
    return seconds


def measure_worker_loss(attune):
    """The same from the death of the worker alone."""
    job = attune.server.create_job(attune.model, attune.dataset.name, **spec(10**4, 20)).name
    attune.server.wait_for_event(job, "checkpoint_saved", count=1)
    training = max(harness.worker_pids(attune.server), key=lambda pid: int(open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[11]))  # the busiest
    begin = time.time()
    os.kill(training, signal.SIGKILL)
    again = next(event for event in attune.server.events(job) if event.attempt == 2 and event.WhichOneof("payload") == "metrics")
    seconds = until_next_step(again, begin)
    attune.server.jobs.CancelFineTuningJob(harness.job_pb.CancelFineTuningJobRequest(name=job))
    attune.server.wait(job)
    return seconds


def bench_checkpoints(options, make_service):
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([os.path.join(harness.DEPS, "testenv", "bin", "python"), os.path.join(ROOT, "tools", "text_data.py"), directory, "--train", "4000", "--test", "64"], check=True)
        attune = make_service(directory)
        speeds, shares = measure_throughput(attune, options.steps, options.rounds)
        stalls = measure_stalls(attune, options.stalls)
        restart = {name: [measure_restart(attune, cached) for _ in range(options.rounds)] for name, cached in (("in the page cache", True), ("on disk alone", False))}
        lost = [measure_worker_loss(attune) for _ in range(options.rounds)]
        attune.close()
    median = {name: statistics.median(values) for name, values in speeds.items()}
    cost = 1 - median["every 50 steps"] / median["none"]
    p99 = stalls[min(len(stalls) - 1, int(0.99 * len(stalls)))]
    say(f"a checkpoint each 50 steps costs {100 * statistics.median(shares):.2f} % of the time, by the steps after it; {100 * cost:.1f} % by whole runs")
    say(f"stall at a checkpoint, of {len(stalls)}: median {1000 * statistics.median(stalls):.1f} ms, p99 {1000 * p99:.1f} ms, most {1000 * stalls[-1]:.1f} ms")
    spell = lambda times: ", ".join(f"{begins:.2f} s until it begins and {ends:.2f} s until it ends" for begins, ends in times)
    for name, times in restart.items():
        say(f"from the start of a new server to the next step, with the checkpoint {name}: {spell(times)}")
    say(f"from the death of a worker to the next step: {spell(lost)}")
    print(json.dumps({"bench": "checkpoints", "samples_per_second": speeds, "median": median, "cost": cost, "lost_shares": shares, "stalls": stalls, "stall_p99": p99, "restart_seconds": restart,
                      "worker_loss_seconds": lost}))
