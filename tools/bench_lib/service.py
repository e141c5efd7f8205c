"""A server for measurements, through tests/integration/harness.py: models and datasets go in, jobs are run and timed by their events."""
import os
import sys
import typing

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
os.environ["ATTUNE_TEST_PATIENCE"] = "100"
import harness  # noqa: E402  (the path must be set first)
from harness import Job  # noqa: E402


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run(typing.NamedTuple):
    job: Job
    steps_seconds: float   # from the first phase's start to the last step's metrics
    whole_seconds: float
    input_wait: float      # share of the steps' time spent waiting for batches, the mean of what the metrics say


class Service:
    def __init__(self, directory, *flags):
        self.server = harness.Server(os.path.join(directory, "data"), *flags).start()

    def run(self, model, dataset, **spec):
        """Runs a job to its end."""
        created = self.server.create_job(model, dataset, **spec)
        begin = last = running = None
        waits = []
        for event in self.server.events(created.name):
            when = event.create_time.seconds + event.create_time.nanos * 1e-9
            kind = event.WhichOneof("payload")
            if kind == "state_changed" and event.state_changed.to == "RUNNING":
                running = when
            if kind == "phase_started" and begin is None:
                begin = when
            if kind == "metrics":
                last = when
                if "input_wait" in event.metrics.values:
                    waits.append(event.metrics.values["input_wait"])
        job = self.server.jobs.GetFineTuningJob(harness.job_pb.GetFineTuningJobRequest(name=created.name))
        if job.state != Job.STATE_SUCCEEDED:
            raise RuntimeError(f"the job ended as {Job.State.Name(job.state)}: {job.error.message}")
        ended = job.end_time.seconds + job.end_time.nanos * 1e-9
        return Run(job, last - begin, ended - running, sum(waits) / max(1, len(waits)))

    def close(self):
        self.server.__exit__()
