"""A job's events, each once and in order, over as many streams as it takes."""
import grpc
from attune.v1 import fine_tuning_job_pb2 as job_pb

from connection import call, retry


class JobWatch:
    def __init__(self, jobs, job):
        self._jobs = jobs
        self._job = job
        self.sequence = 0  # of the last event that was seen

    def wait_for(self, what, condition):
        """Reads until an event satisfies the condition, and returns it. A later call goes on after it."""
        event = None
        while event is None:
            event = retry(lambda: self._follow(what, condition))
        return event

    def wait_for_state(self, state):
        return self.wait_for(state, lambda event: event.state_changed.to == state)

    def _follow(self, what, condition):
        stream = self._jobs.WatchFineTuningJob(job_pb.WatchFineTuningJobRequest(name=self._job, after_sequence=self.sequence))
        try:
            for event in self._events(stream):
                if event.sequence != self.sequence + 1:
                    raise AssertionError(f"event {event.sequence} came after event {self.sequence}")
                self.sequence = event.sequence
                if condition(event):
                    return event
                if event.state_changed.terminal:
                    raise AssertionError(f"{self._job} became {event.state_changed.to} before {what}")
        finally:
            # A stream that is not read to its end stays open until it is cancelled.
            stream.cancel()
        # A server that shuts down ends its streams with OK; the job goes on after it.
        return None

    def _events(self, stream):
        lagged = False
        for response in stream:
            kind = response.WhichOneof("kind")  # heartbeat: the connection lives; waiting: what a queued job waits for
            if kind == "lagged":
                lagged = True
            elif kind == "event":
                if lagged:
                    yield from self._missed(response.event.sequence)
                    lagged = False
                yield response.event

    def _missed(self, before):
        """What a reader that was too slow did not get."""
        request = job_pb.ListJobEventsRequest(parent=self._job, after_sequence=self.sequence)
        while True:
            page = call(self._jobs.ListJobEvents, request)
            for event in page.events:
                if event.sequence >= before:
                    return
                yield event
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
