"""The scenario over a network that loses connections: while a file goes up, while a job is watched, while weights come down. What clients cut by themselves ends in good order; this does not."""
import contextlib
import threading

import pytest

import checks
import harness
import relay
import world
from harness import Job, job_pb, upload_pb
from test_conformance import LANGUAGES, bert, client  # noqa: F401 (bert is a fixture)
from test_metrics import scrape

SENT_BYTES = 20 << 10  # lies in the second half of the file, which is sent after the client's own cut: all of it arrives, and its answer is lost
RECEIVED_BYTES = (2 << 20, 2 << 20)  # lie in the weights
WATCHED_STEP = 20  # of the first job


class CutWorld(world.World):
    """Between client and server lies a relay, and TLS goes through it."""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            super().__enter__()
            stack.push(super().__exit__)
            self.network = stack.enter_context(relay.Relay(self.server.address))
            self.network.cut_unanswered_after(SENT_BYTES, self._wait_for_the_upload)
            self.network.cut_after("received", *RECEIVED_BYTES)
            ended = threading.Event()
            watching = threading.Thread(target=self._cut_watch, args=(ended,))
            watching.start()
            stack.callback(watching.join)
            stack.callback(ended.set)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def environment(self):
        return {**super().environment(), "ATTUNE_SERVER": self.network.address.replace("127.0.0.1", "localhost")}

    def _wait_for_the_upload(self):
        """Until the server has all of the first file."""
        name = [resource for method, resource, _ in self.audit() if method == "CreateUpload"][-1]
        upload = lambda: self.server.uploads.GetUpload(upload_pb.GetUploadRequest(name=name))
        harness.wait_until(lambda: upload().state == upload_pb.Upload.STATE_COMPLETE, "the upload to be complete")

    def _cut_watch(self, ended):
        """Once, while the first job trains and is watched."""
        with self.server.open_channel(harness.CHANNEL_OPTIONS, self.server.admin_token) as channel:
            jobs = harness.rpc["fine_tuning_job"].FineTuningJobServiceStub(channel)
            while not ended.wait(0.02):
                first = jobs.ListFineTuningJobs(job_pb.ListFineTuningJobsRequest()).fine_tuning_jobs[-1:]
                if first and first[0].state == Job.STATE_RUNNING and first[0].progress.step >= WATCHED_STEP and scrape(self.server)["attune_watchers"] > 0:
                    self.network.cut("watch")
                    return


@pytest.mark.parametrize("language", LANGUAGES)
def test_scenario(language, tmp_path, bert):
    with CutWorld(tmp_path, bert) as met:
        output = met.run(client(language))
        assert sorted(met.network.cuts) == ["received"] * len(RECEIVED_BYTES) + ["sent", "watch"], met.network.cuts
        checks.check(met, output)
