"""Fine-tuning jobs: created, steered, watched."""
from __future__ import annotations

import uuid
from typing import Any, Callable, Dict, List, Optional

import grpc

from attune_client import v1
from attune_client._async.connection import AsyncConnection
from attune_client._async.job import AsyncJob
from attune_client._async.transport import Stream, aclosing, read
from attune_client.errors import AttuneError, JobFailed, error_of
from attune_client.progress import Bar, step_progress
from attune_client.requests import Spec, job_name, job_update, merged_spec, replay_spec, replayed_pair
from attune_client.retry import Backoff

_WATCH_ATTEMPTS = 30


class AsyncJobs(AsyncConnection):
    async def create_job(self, spec: Spec = None, *, base_model: str = "", dataset: str = "", display_name: str = "", labels: Optional[Dict[str, str]] = None,
                         validate_only: bool = False, **hyperparameters: Any) -> AsyncJob:
        """Creates a job. `spec` is a message, or a dict with the same field names; base_model, dataset and `hyperparameters` (n_epochs=2,
        learning_rate=5e-5, ...) are put over it. With validate_only nothing is queued, and effective_spec shows every default.

        Raises InvalidArgumentError with a violation for each fault of the spec; json_format.ParseError for a field that there is not."""
        return self._job(await self.call(self.jobs.CreateFineTuningJob, v1.CreateFineTuningJobRequest(
            spec=merged_spec(spec, base_model, dataset, hyperparameters), display_name=display_name, labels=labels or {}, validate_only=validate_only,
            request_id=uuid.uuid4().hex)))

    async def plan(self, spec: Spec = None, *, base_model: str = "", dataset: str = "", **hyperparameters: Any) -> v1.PlanFineTuningJobResponse:
        """What a job would take (memory in bytes, time in seconds, disk in bytes, and the batch size that fits), measured by a worker in seconds to minutes; nothing is
        created. Arguments as of create_job."""
        request = v1.PlanFineTuningJobRequest(spec=merged_spec(spec, base_model, dataset, hyperparameters))
        plan: v1.PlanFineTuningJobResponse = await self.call(self.jobs.PlanFineTuningJob, request, timeout=self.long_timeout)
        return plan

    async def get_job(self, job: str) -> AsyncJob:
        """Raises NotFoundError."""
        return self._job(await self.call(self.jobs.GetFineTuningJob, v1.GetFineTuningJobRequest(name=job_name(job))))

    async def cancel_job(self, job: str) -> AsyncJob:
        """Ends a job early; its checkpoints stay. Raises FailedPreconditionError when it has ended."""
        return self._job(await self.call(self.jobs.CancelFineTuningJob, v1.CancelFineTuningJobRequest(name=job_name(job))))

    async def pause_job(self, job: str) -> AsyncJob:
        """Frees the job's worker until resume_job; it writes a checkpoint first."""
        return self._job(await self.call(self.jobs.PauseFineTuningJob, v1.PauseFineTuningJobRequest(name=job_name(job))))

    async def resume_job(self, job: str) -> AsyncJob:
        return self._job(await self.call(self.jobs.ResumeFineTuningJob, v1.ResumeFineTuningJobRequest(name=job_name(job))))

    async def set_priority(self, job: str, priority: int) -> AsyncJob:
        """-100 to 100; higher goes first."""
        message = v1.FineTuningJob(name=job_name(job), priority=priority)
        return self._job(await self.call(self.jobs.UpdateFineTuningJob, job_update(message, ["priority"])))

    async def adjust(self, job: str, *, learning_rate_scale: Optional[float] = None, n_epochs: Optional[int] = None,
                     early_stopping_patience: Optional[int] = None) -> AsyncJob:
        """Changes how a job trains from its next optimizer step on; what is None stays. See LiveSettings."""
        given: Dict[str, Any] = {"learning_rate_scale": learning_rate_scale, "n_epochs": n_epochs, "early_stopping_patience": early_stopping_patience}
        given = {field: value for field, value in given.items() if value is not None}
        message = v1.FineTuningJob(name=job_name(job), live_settings=v1.LiveSettings(**given))
        return self._job(await self.call(self.jobs.UpdateFineTuningJob, job_update(message, [f"live_settings.{field}" for field in given])))

    async def metric_points(self, job: str) -> List[v1.MetricPoint]:
        """Every stored metric point of a job, oldest first."""
        points: List[v1.MetricPoint] = []
        request = v1.ListJobMetricsRequest(parent=job_name(job), page_size=10000)
        while True:
            page: v1.ListJobMetricsResponse = await self.call(self.jobs.ListJobMetrics, request)
            points += page.points
            request.page_token = page.next_page_token
            if not request.page_token:
                return points

    async def watch(self, job: str, after_sequence: int = 0, *, on_waiting: Optional[Callable[[v1.FineTuningJob], None]] = None) -> Stream[v1.JobEvent]:
        """Yields the job's events, each exactly once and in order, until the terminal one; through cut connections and server restarts.

        on_waiting gets the job, while it waits, whenever jobs_ahead, state_reason, blocking_resource or predicted_start_time have changed.
        """
        name, last = job_name(job), after_sequence
        backoff = Backoff(self.retry, min_attempts=_WATCH_ATTEMPTS)
        while True:
            try:
                stream = self.jobs.WatchFineTuningJob(v1.WatchFineTuningJobRequest(name=name, after_sequence=last))
                async with aclosing(read(stream, self.stall_timeout)) as responses:
                    async for response in responses:
                        events: List[v1.JobEvent] = []
                        if response.HasField("event"):
                            # A gap means that we were too slow and metrics were left out.
                            events = [*(await self._missing(name, last, response.event.sequence)), response.event]
                        backoff.progressed()
                        if response.HasField("waiting") and on_waiting is not None:
                            on_waiting(response.waiting)
                        for event in events:
                            if event.sequence <= last:
                                continue
                            last = event.sequence
                            yield event
                            if event.state_changed.terminal:
                                return
                raise error_of(grpc.StatusCode.UNAVAILABLE, "the server ended the stream before the job ended")
            except AttuneError as error:
                await self._pause(backoff.after(error))

    async def _missing(self, name: str, last: int, following: int) -> List[v1.JobEvent]:
        found: List[v1.JobEvent] = []
        while last + 1 < following:
            page: v1.ListJobEventsResponse = await self.call(self.jobs.ListJobEvents, v1.ListJobEventsRequest(parent=name, page_size=1000, after_sequence=last))
            new = [event for event in page.events if last < event.sequence < following]
            if not new:
                break
            found += new
            last = new[-1].sequence
        return found

    async def wait(self, job: str, *, on_event: Optional[Callable[[v1.JobEvent], None]] = None, progress: Bar = None) -> AsyncJob:
        """Waits for the end and returns the job. progress: None shows a bar of optimizer steps on a terminal, True anywhere, False nowhere. Raises JobFailed unless it
        succeeded."""
        name = job_name(job)
        total, asked_at = 0, 0
        with step_progress(progress) as show:
            async with aclosing(self.watch(name)) as events:
                async for event in events:
                    if on_event is not None:
                        on_event(event)
                    step = event.metrics.step
                    if show is None or step == 0:
                        continue
                    if step > total and step >= 2 * asked_at:  # the total rises where phases end by a plateau
                        total, asked_at = (await self.get_job(name)).message.progress.total_steps, step
                    loss = event.metrics.values.get("loss")
                    show(name, step, max(total, step), event.metrics.phase + (f", loss {loss:.4g}" if loss is not None else ""))
        ended = await self.get_job(name)
        if ended.message.state != v1.FineTuningJob.STATE_SUCCEEDED:
            raise JobFailed(ended.message)
        return ended

    async def verify_resume(self, job: str, from_step: Optional[int] = None) -> Dict[str, bool]:
        """Trains the way from one of the job's checkpoints (None: the last but one) to the next again, as a job of its own that is deleted afterwards. Says of each
        file of the later checkpoint whether its bytes came out equal."""
        source = (await self.get_job(job)).message
        page: v1.ListCheckpointsResponse = await self.call(self.checkpoints.ListCheckpoints, v1.ListCheckpointsRequest(parent=source.name, page_size=1000))
        first, second = replayed_pair(source, page.checkpoints, from_step)
        helper = (await self.create_job(replay_spec(source, first, second), display_name=f"replay of {source.name}, steps {first.step} to {second.step}")).name
        try:
            saved = ""
            async with aclosing(self.watch(helper)) as events:
                async for event in events:
                    if event.checkpoint_saved.step == second.step:
                        saved = event.checkpoint_saved.checkpoint
                        break
            if not saved:
                raise error_of(grpc.StatusCode.INTERNAL, f"{helper} ended without a checkpoint at step {second.step}")
            replayed: v1.Checkpoint = await self.call(self.checkpoints.GetCheckpoint, v1.GetCheckpointRequest(name=saved))
        finally:
            await self._remove_job(helper)
        there, here = ({f.path: f.sha256 for f in c.files} for c in (second, replayed))
        return {path: there.get(path) == here.get(path) for path in sorted({*there, *here})}

    async def _remove_job(self, name: str) -> None:
        try:
            await self.cancel_job(name)
        except AttuneError as error:
            if error.code != grpc.StatusCode.FAILED_PRECONDITION:  # it has ended
                raise
        async for _ in self.watch(name):
            pass
        await self.call(self.jobs.DeleteFineTuningJob, v1.DeleteFineTuningJobRequest(name=name))
