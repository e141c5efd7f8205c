"""A rolling upgrade: the old server is told to go while two jobs run and three clients watch, and a new one starts on the same data and address. Nobody sees more than a call that must be repeated."""
import threading

import grpc
import harness
from harness import Job, checkpoint_pb, job_pb, spec_pb

SLOTS = ("--job-slots", "2", "--warm-workers", "2", "--worker-threads", "1", "--share-devices-by", "slots")


class Watcher(threading.Thread):
    """Follows a job as a client would: from the last event that it has, whenever the stream is cut."""

    def __init__(self, server, job):
        super().__init__(daemon=True)
        self.server, self.job, self.events, self.cuts, self.error = server, job, [], [], None
        self.start()

    def run(self):
        while not (self.events and self.events[-1].state_changed.terminal):
            request = job_pb.WatchFineTuningJobRequest(name=self.job, after_sequence=self.events[-1].sequence if self.events else 0)
            try:
                for response in self.server.jobs.WatchFineTuningJob(request, timeout=harness.DEADLINE):
                    if response.WhichOneof("kind") == "event":
                        self.events.append(response.event)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    self.error = error
                    return
                self.cuts.append(error.details())
                self.server.started.wait(harness.DEADLINE)  # the back-off of a client, without its clock


def digest(server, job):
    files = server.checkpoints.GetCheckpoint(checkpoint_pb.GetCheckpointRequest(name=job + "/checkpoints/last"), timeout=harness.DEADLINE).files
    return {file.path: file.sha256 for file in files}["model.safetensors"]


def test_jobs_and_watchers_live_through_an_upgrade(tmp_path):
    server = harness.Server(str(tmp_path / "data"), *SLOTS)
    server.started = threading.Event()
    with server:
        server.started.set()
        model = server.import_model(harness.make_tiny_bert(str(tmp_path / "bert")), "tiny-bert").name
        dataset = server.import_dataset(harness.sentiment_csv(160)).name
        spec = dict(hyperparameters=spec_pb.Hyperparameters(n_epochs=30, batch_size=4, learning_rate=1e-3), seed=5)
        undisturbed = server.create_job(model, dataset, **spec).name
        assert server.wait(undisturbed).state == Job.STATE_SUCCEEDED
        jobs = [server.create_job(model, dataset, **spec).name for _ in range(2)]
        watchers = [Watcher(server, job) for job in (jobs[0], jobs[1], jobs[0])]
        for job in jobs:
            server.wait_for_event(job, "metrics", count=5)
        server.started.clear()
        assert server.stop() == 0, server.log_text()[-3000:]
        server.start()
        server.started.set()
        for watcher in watchers:
            watcher.join(harness.DEADLINE)
            assert not watcher.is_alive() and watcher.error is None, watcher.error
            assert watcher.cuts, "the first server's end was seen"
            events = watcher.events
            assert [event.sequence for event in events] == list(range(1, len(events) + 1)), "each event once, in order"
            assert [event.state_changed.terminal for event in events].count(True) == 1
            assert "the server was shut down" in " ".join(event.state_changed.reason for event in events)
        for job in jobs:
            done = server.wait(job)
            assert done.state == Job.STATE_SUCCEEDED and done.attempt == 2, done
            assert digest(server, job) == digest(server, undisturbed)
