# Made by client/python/make_sync.py from attune_client/_async/job.py; change that.
"""Job: a job, and what one does with it."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Union

from attune_client import v1
from attune_client._sync.transport import Stream
from attune_client.local_files import PathLike
from attune_client.metrics import to_pandas
from attune_client.progress import Bar, RowProgress, TransferProgress
from attune_client.requests import Image, Text

if TYPE_CHECKING:
    import pandas

    from attune_client._sync.client import Client


class Job:
    """A fine-tuning job as it was when the server was last asked: every field of v1.FineTuningJob reads as an attribute (job.name, job.best_checkpoint,
    job.test_evaluation.values). The methods ask the server; refresh() asks it for the fields. Checkpoints are those of the job: "best", "last", or a step."""

    if TYPE_CHECKING:
        name: str
        display_name: str
        state_reason: str
        spec: v1.FineTuningSpec
        effective_spec: v1.FineTuningSpec
        progress: v1.JobProgress
        best_checkpoint: str
        test_evaluation: v1.Evaluation
        attempt: int
        priority: int

    def __init__(self, client: "Client", message: v1.FineTuningJob):
        self._client = client
        self.message = message  # all of it

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_") or field == "message":
            raise AttributeError(field)
        return getattr(self.message, field)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'not created'}: {self.state_name}>"

    @property
    def state_name(self) -> str:
        """"QUEUED", "PREPARING", "RUNNING", "PAUSING", "PAUSED", "CANCELLING", "CANCELLED", "SUCCEEDED" or "FAILED"."""
        return v1.FineTuningJob.State.Name(self.message.state)[len("STATE_"):]

    @property
    def ended(self) -> bool:
        return self.message.state in (v1.FineTuningJob.STATE_SUCCEEDED, v1.FineTuningJob.STATE_FAILED, v1.FineTuningJob.STATE_CANCELLED)

    def refresh(self) -> "Job":
        """Asks for the job as it is now, and returns itself."""
        self.message = (self._client.get_job(self.name)).message
        return self

    def wait(self, *, on_event: Optional[Callable[[v1.JobEvent], None]] = None, progress: Bar = None) -> "Job":
        """Waits for the end and returns itself; see Client.wait. Raises JobFailed unless it succeeded."""
        self.message = (self._client.wait(self.name, on_event=on_event, progress=progress)).message
        return self

    def watch(self, after_sequence: int = 0) -> Stream[v1.JobEvent]:
        """Its events, each once and in order, until it ends; see Client.watch."""
        return self._client.watch(self.name, after_sequence)

    def metrics(self) -> "pandas.DataFrame":
        """Every stored metric point, in order: columns step (optimizer steps, from 1), epoch, phase, then loss, learning_rate and whatever else was measured; NaN where a point
        lacks a value. Raises ImportError without pandas."""
        return to_pandas(self.metric_points())

    def metric_points(self) -> List[v1.MetricPoint]:
        """The same as messages."""
        return self._client.metric_points(self.name)

    def cancel(self) -> "Job":
        self.message = (self._client.cancel_job(self.name)).message
        return self

    def pause(self) -> "Job":
        self.message = (self._client.pause_job(self.name)).message
        return self

    def resume(self) -> "Job":
        self.message = (self._client.resume_job(self.name)).message
        return self

    def download(self, directory: PathLike, *, checkpoint: Union[str, int] = "best", resume_files: bool = False,
                       progress: Union[Bar, TransferProgress] = None) -> List[Path]:
        """Its weights, in a directory that transformers or torchvision loads; see Client.download."""
        return self._client.download(f"{self.name}/checkpoints/{checkpoint}", directory, resume_files=resume_files, progress=progress)

    def predict(self, texts: Sequence[Text] = (), *, images: Sequence[Image] = (), views: int = 1, checkpoint: Union[str, int] = "best") -> List[v1.Prediction]:
        """See Client.predict."""
        return self._client.predict(f"{self.name}/checkpoints/{checkpoint}", texts, images=images, views=views)

    def evaluate(self, *, checkpoint: Union[str, int] = "best", dataset: str = "", split: str = "", suspects: int = 0, batch_size: Optional[int] = None,
                       progress: Union[Bar, RowProgress] = None) -> v1.CheckpointEvaluation:
        """See Client.evaluate."""
        return self._client.evaluate(f"{self.name}/checkpoints/{checkpoint}", dataset=dataset, split=split, suspects=suspects, batch_size=batch_size,
                                           progress=progress)
