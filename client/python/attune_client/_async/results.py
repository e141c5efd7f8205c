"""What a job made: weights, predictions, figures."""
from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence, Union

import grpc

from attune_client import v1
from attune_client._async.connection import AsyncConnection
from attune_client._async.downloads import download_checkpoint
from attune_client._async.transport import aclosing, read
from attune_client.errors import AttuneError, error_of
from attune_client.local_files import PathLike
from attune_client.progress import Bar, RowProgress, TransferProgress, row_progress, transfer_progress
from attune_client.requests import Image, Text, checkpoint_name, full_name, predict_requests, split_of
from attune_client.retry import Backoff


class AsyncResults(AsyncConnection):
    async def download(self, checkpoint: str, directory: PathLike, *, resume_files: bool = False, progress: Union[Bar, TransferProgress] = None) -> List[Path]:
        """Fetches a checkpoint ("JOB/best", or a job alone for its best) into a directory that transformers loads, every file checked by SHA-256; an interrupted download goes
        on where it stopped. With resume_files also optimizer state and data cursor. progress as of upload, with bytes of all files. Returns the files' paths."""
        with transfer_progress(progress) as report:
            return await download_checkpoint(self, checkpoint_name(checkpoint), Path(directory), resume_files, report)

    async def pin(self, checkpoint: str, pinned: bool = True) -> v1.Checkpoint:
        """Keeps a checkpoint ("JOB/30", "JOB/best") until it is unpinned (pinned=False) or its job is deleted."""
        request = v1.UpdateCheckpointRequest(checkpoint=v1.Checkpoint(name=checkpoint_name(checkpoint), pinned=pinned))
        request.update_mask.paths.append("pinned")
        answer: v1.Checkpoint = await self.call(self.checkpoints.UpdateCheckpoint, request)
        return answer

    async def predict(self, checkpoint: str, texts: Sequence[Text] = (), *, images: Sequence[Image] = (), views: int = 1) -> List[v1.Prediction]:
        """Classifies texts, or pairs of texts as tuples; or images: paths of JPEG, PNG, WebP or BMP files, or their content as bytes, 16 MiB at most each. Any number
        of one of the two, as the checkpoint's model takes; as many predictions in the same order. With views over 1, up to 32, probabilities are averaged over mirrored and
        cropped views of each image."""
        name = checkpoint_name(checkpoint)
        predictions: List[v1.Prediction] = []
        for request in predict_requests(texts, images):
            request.checkpoint, request.views = name, views
            response: v1.PredictResponse = await self.call(self.prediction.Predict, request, timeout=self.long_timeout)
            predictions += response.predictions
            name = response.checkpoint or name  # the best may change between calls
        return predictions

    async def evaluate(self, checkpoint: str, *, dataset: str = "", split: str = "", suspects: int = 0, batch_size: Optional[int] = None,
                       progress: Union[Bar, RowProgress] = None) -> v1.CheckpointEvaluation:
        """Figures of a checkpoint on all rows of a split, with its calibration and its surest mistakes. dataset: one with the same classes; empty: the job's own. split:
        "train", "validation" or "test"; empty: test where it has rows, otherwise validation. suspects: so many training rows at most whose labels look wrong are looked for,
        which takes a pass over the training split. progress: None shows a bar on a terminal, True anywhere, False nowhere; or a function that is called with (rows done, rows
        in all)."""
        request = v1.EvaluateRequest(checkpoint=checkpoint_name(checkpoint), dataset=full_name(dataset, "datasets"), find_suspects=suspects != 0, suspect_count=suspects,
                                     batch_size=batch_size)
        if split:
            request.split = split_of(split)
        backoff = Backoff(self.retry)
        with row_progress(progress, f"evaluating {request.checkpoint}") as report:
            while True:
                try:
                    async with aclosing(read(self.prediction.Evaluate(request), self.long_timeout)) as responses:
                        async for response in responses:
                            if response.HasField("result"):
                                result: v1.CheckpointEvaluation = response.result
                                return result
                            report(response.progress.rows_done, response.progress.rows_total)
                    raise error_of(grpc.StatusCode.UNAVAILABLE, "the server ended the evaluation without a result")
                except AttuneError as error:
                    await self._pause(backoff.after(error))
