#!/usr/bin/env python3
"""Kills servers and workers, at named fault points (server/base/fault_point.h) and at random times, while jobs run, and checks what clients were told against what is there
afterwards: every acknowledged job and upload, each event once and in order, one terminal event, no checkpoint twice, and the bytes of an undisturbed run.

    tests/integration/crash_matrix.py --kills 1000 [--seed 1]        (make test-crash)

Prints the kills by kind, and how long it took from a restart to the next training step. Exit 1 at the first thing that is wrong, with the seed and the server's log.
"""
import argparse
import collections
import hashlib
import io
import os
import random
import signal
import statistics
import sys
import tarfile
import tempfile
import threading
import time
import uuid

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402  (the path must be set first)
from harness import Job, checkpoint_pb, job_pb, spec_pb, upload_pb  # noqa: E402

OPERATIONS = ("append", "sync", "open", "rename", "sync_directory", "remove_recursively")
POINTS = {"server": [f"{name}.{when}" for name in OPERATIONS + ("remove", "link", "commit") for when in ("before", "after")] + ["append.torn", "receive.before", "reply.before"],
          "worker": [f"{name}.{when}" for name in OPERATIONS + ("send",) for when in ("before", "after")] + ["append.torn"]}
LIVES = 10       # of a server in one job; the last is left in peace
UPLOAD = 700_000


class Wrong(AssertionError):
    """Something that a client was told is not so."""


def check(condition, *what):
    if not condition:
        raise Wrong(" ".join(map(str, what)))


class Plan:
    """One kill: at the nth arrival at a fault point, or after a while."""

    def __init__(self, rng):
        self.target = rng.choice(("server", "worker"))
        self.point = rng.choice(POINTS[self.target] + ["*"]) if rng.random() < 0.6 else None
        self.arrivals = int(rng.expovariate(1 / (40 if self.point == "*" else 6))) + 1
        self.delay = rng.uniform(0.0, 2.0)
        self.choice = rng.random()  # which worker

    def __str__(self):
        return f"{self.target}/{self.point}#{self.arrivals}" if self.point else f"{self.target} after {self.delay:.2f} s"


class Case:
    """A job that is run again and again. `expected` is the digest of its last model, of an undisturbed run."""

    def __init__(self, name, server, model, dataset, **spec):
        scheduling = spec_pb.SchedulingSpec(max_lost_attempts=100, retry_policy=spec_pb.RetryPolicy(max_resource_retries=100, max_system_retries=100, backoff_seconds=0))
        self.name, self.spec = name, dict(base_model=model, dataset=dataset, seed=3, scheduling=scheduling,
                                          checkpointing=spec_pb.CheckpointSpec(save_steps=15), **spec)
        done = server.wait(server.jobs.CreateFineTuningJob(self.request(""), timeout=harness.DEADLINE).name)
        check(done.state == Job.STATE_SUCCEEDED, name, "undisturbed:", done)
        self.expected = digest(server, done.name)

    def request(self, request_id):
        return job_pb.CreateFineTuningJobRequest(spec=spec_pb.FineTuningSpec(**self.spec), request_id=request_id)


def digest(server, job):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job + "/checkpoints/last"), timeout=harness.DEADLINE).files
    return {f.path: f.sha256 for f in files}["model.safetensors"]


def pictures():
    from PIL import Image
    rng = random.Random(1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for split, count in (("train", 16), ("validation", 4)):
            for label, colour in (("red", (220, 40, 40)), ("blue", (40, 40, 220))):
                for i in range(count):
                    image = Image.new("RGB", (48, 40), tuple(max(0, c - rng.randrange(40)) for c in colour))
                    file = io.BytesIO()
                    image.save(file, "PNG")
                    entry = tarfile.TarInfo(f"{split}/{label}/{i}.png")
                    entry.size = file.tell()
                    file.seek(0)
                    archive.addfile(entry, file)
    return buffer.getvalue()


def make_cases(server, directory, images):
    tiny = harness.make_tiny_bert(os.path.join(directory, "bert"))
    texts = server.import_model(tiny, "tiny-bert").name
    rows = server.import_dataset(harness.sentiment_csv(160)).name
    small = spec_pb.Hyperparameters(n_epochs=12, batch_size=4, learning_rate=1e-3)  # long enough for a kill in most lives
    cases = [Case("texts", server, texts, rows, hyperparameters=small),
             Case("texts, unfreezing", server, texts, rows, hyperparameters=small, gradual_unfreezing=spec_pb.UnfreezeSpec(epochs_per_group=1)),
             Case("texts, bf16", server, texts, rows, hyperparameters=small, precision=spec_pb.PRECISION_BF16)]
    if images:
        import subprocess
        out = os.path.join(directory, "mobilenet")
        subprocess.run([sys.executable, os.path.join(harness.SOURCE, "tools", "import_torchvision.py"), "--reference-seed", "1", "--architecture", "mobilenet_v2", "--set",
                        "width_mult=0.25", "--set", "image_size=32", "--out", out], check=True, stdout=subprocess.DEVNULL)
        mobilenet, shown = server.import_model(out, "tiny-mobilenet").name, server.import_dataset(pictures(), "pictures.tar").name
        cases.append(Case("images, augmented", server, mobilenet, shown, hyperparameters=spec_pb.Hyperparameters(n_epochs=6, batch_size=4, learning_rate=1e-3, ema_decay=0.9)))
        cases.append(Case("images, unfreezing, bf16", server, mobilenet, shown, precision=spec_pb.PRECISION_BF16, gradual_unfreezing=spec_pb.UnfreezeSpec(epochs_per_group=1),
                          hyperparameters=spec_pb.Hyperparameters(n_epochs=2, batch_size=4, learning_rate=1e-3)))
    return cases


class Matrix:
    def __init__(self, directory, seed, images=True):
        self.rng = random.Random(seed)
        self.server = harness.Server(os.path.join(directory, "data"))
        self.token = os.path.join(directory, "token")
        self.kills, self.jobs = collections.Counter(), collections.Counter()
        self.restarts = []  # seconds from a server's start to the next training step
        self.server.start()
        self.cases = make_cases(self.server, directory, images)
        self.server.stop()

    # One server's life ------------------------------------------------------------------------------------------------
    def begin_life(self, plan):
        self.plan, self.started = plan, time.monotonic()
        for name in ("ATTUNE_FAULT_POINT", "ATTUNE_FAULT_TOKEN"):
            os.environ.pop(name, None)
        if plan is not None and plan.point:
            with open(self.token, "w"):
                pass
            os.environ.update(ATTUNE_FAULT_POINT=f"{plan.target}/{plan.point}#{plan.arrivals}", ATTUNE_FAULT_TOKEN=self.token)
        try:
            self.server.start()
        except RuntimeError:
            if self.server.process.poll() == -signal.SIGKILL:  # at a fault point of its start
                return False
            raise
        if plan is not None and not plan.point:
            threading.Timer(plan.delay, self.strike, (plan, self.server.process)).start()
        return True

    def strike(self, plan, process):
        """A kill at a random time; nothing when the life is over."""
        if process.poll() is not None or process is not self.server.process:
            return
        try:
            if plan.target == "server":
                process.kill()
                return
            workers = harness.worker_pids(self.server)
            if workers:
                os.kill(workers[int(plan.choice * len(workers))], signal.SIGKILL)
                self.kills["worker, at a random time"] += 1
        except ProcessLookupError:
            pass

    def end_life(self):
        """Counts what the life's plan has done."""
        plan, self.plan = self.plan, None
        died = self.server.process.poll() == -signal.SIGKILL
        if plan is None:
            check(not died, "a server died although nobody killed it")
        elif plan.point and not os.path.exists(self.token):
            self.kills[f"{plan.target}, at a fault point"] += 1
        elif died:
            check(not plan.point and plan.target == "server", "a server died although its plan was", plan)
            self.kills["server, at a random time"] += 1
        code = self.server.process.poll()
        check(code in (None, 0, -signal.SIGKILL), "the server ended with", code)

    # A job --------------------------------------------------------------------------------------------------------------
    def run_job(self):
        case, request_id, content = self.rng.choice(self.cases), uuid.uuid4().hex, self.rng.randbytes(UPLOAD)
        self.job, self.seen, self.upload, self.committed, self.uploaded = None, [], None, 0, False
        for life in range(LIVES + 1):
            plan = Plan(self.rng) if life < LIVES else None
            if not self.begin_life(plan):
                self.end_life()
                continue
            try:
                self.use(case, request_id, content)
                self.verify(case, content)
                self.jobs[case.name] += 1
                return
            except grpc.RpcError as error:
                # A server that was killed; anything else is an error of the server's.
                harness.wait_until(lambda: self.server.process.poll() is not None, f"the server to end after {error.code()}: {error.details()}")
            finally:
                self.server.channel.close()
                if self.server.process.poll() is None:
                    self.server.stop()
                self.end_life()
        raise Wrong("the job did not end in peace either")

    def use(self, case, request_id, content):
        """What a client does, from where it was cut off."""
        job = self.server.jobs.CreateFineTuningJob(case.request(request_id), timeout=harness.DEADLINE)
        check(self.job in (None, job.name), "a repeated request made another job", job.name)
        self.job = job.name
        self.send(content)
        first = len(self.seen)
        for event in self.server.events(self.job, after=self.seen[-1].sequence if self.seen else 0):
            if first > 0 and event.attempt > self.seen[first - 1].attempt and event.WhichOneof("payload") == "metrics" and self.started is not None:
                self.restarts.append(time.monotonic() - self.started)
                self.started = None
            self.seen.append(event)

    def send(self, content):
        if self.uploaded:
            return
        if self.upload is None:
            self.upload = self.server.uploads.CreateUpload(upload_pb.CreateUploadRequest(
                filename="x.bin", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()), timeout=harness.DEADLINE).name
        found = self.server.uploads.GetUpload(upload_pb.GetUploadRequest(name=self.upload), timeout=harness.DEADLINE)
        check(found.committed_bytes >= self.committed, "an acknowledged upload shrank from", self.committed, "to", found.committed_bytes)
        self.committed = self.server.write_upload(self.upload, content, found.committed_bytes).committed_bytes
        self.uploaded = self.committed == len(content)

    def verify(self, case, content):
        server = self.server
        done = server.jobs.GetFineTuningJob(job_pb.GetFineTuningJobRequest(name=self.job), timeout=harness.DEADLINE)
        check(done.state == Job.STATE_SUCCEEDED, case.name, "ended as", done)
        events = list(server.events(self.job))
        check([e.sequence for e in events] == list(range(1, len(events) + 1)), "sequences:", [e.sequence for e in events])
        check(events == self.seen, "events that a client had seen changed, or were shown twice")
        check([e.state_changed.terminal for e in events].count(True) == 1 and events[-1].state_changed.terminal, "terminal events")
        saved = [e.checkpoint_saved.step for e in events if e.WhichOneof("payload") == "checkpoint_saved"]
        check(len(saved) == len(set(saved)), "a checkpoint was saved twice:", saved)
        listed = server.checkpoints.ListCheckpoints(checkpoint_pb.ListCheckpointsRequest(parent=self.job), timeout=harness.DEADLINE).checkpoints
        directory, expected = os.path.join(server.data_dir, "jobs", self.job.split("/")[1], "checkpoints"), sorted(f"step-{c.step}" for c in listed)
        harness.wait_until(lambda: sorted(os.listdir(directory)) == expected, f"{directory} to hold {expected}")  # files of those that are not kept go in the background
        check(digest(server, self.job) == case.expected, case.name, "ended in other bytes than undisturbed")
        found = server.uploads.GetUpload(upload_pb.GetUploadRequest(name=self.upload), timeout=harness.DEADLINE)
        check(found.committed_bytes == len(content), "an acknowledged upload has", found.committed_bytes, "of", len(content), "bytes")

    def report(self):
        print("jobs: " + ", ".join(f"{count} of {name}" for name, count in self.jobs.items()))
        print(f"{sum(self.kills.values())} kills in {sum(self.jobs.values())} jobs: " + ", ".join(f"{count} of a {kind}" for kind, count in sorted(self.kills.items())))
        print("0 acknowledged operations lost, 0 terminal events or checkpoints twice, all models equal to those of undisturbed runs")
        if self.restarts:
            worst = sorted(self.restarts)
            print(f"from a server's start to the next training step: median {statistics.median(worst):.2f} s, longest {worst[-1]:.2f} s of {len(worst)}")


def run(kills, seed, images=True, progress=lambda text: None):
    with tempfile.TemporaryDirectory() as directory:
        matrix = Matrix(directory, seed, images)
        try:
            while sum(matrix.kills.values()) < kills:
                matrix.run_job()
                progress(f"{sum(matrix.kills.values())} kills, {sum(matrix.jobs.values())} jobs")
        except BaseException:
            print(f"seed {seed}, job {sum(matrix.jobs.values()) + 1} ({matrix.job}), plan {matrix.plan}, server's log:\n{matrix.server.log_text()[-6000:]}", file=sys.stderr)
            raise
        matrix.report()
        return matrix


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="drawn where absent, and printed")
    options = parser.parse_args()
    chosen = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {chosen}", flush=True)
    run(options.kills, chosen, progress=lambda text: print("\r" + text, end="", file=sys.stderr, flush=True))
