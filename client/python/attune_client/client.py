"""Client: the whole workflow in a few calls; every RPC is also there as a stub (client.jobs.ListFineTuningJobs(...))."""
from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import grpc
from google.protobuf import json_format

from attune_client import transfer, v1
from attune_client._generated.attune.v1 import (checkpoint_pb2_grpc, dataset_pb2_grpc, fine_tuning_job_pb2_grpc, model_pb2_grpc, prediction_pb2_grpc,
                                                system_pb2_grpc, upload_pb2_grpc)
from attune_client.errors import AttuneError, JobFailed
from attune_client.retry import Retrier, RetryPolicy, call, read
from attune_client.transfer import PathLike, Progress

# File of a model -> (whether it is required, what a model that has it takes; None: any).
_MODEL_FILES = {"config.json": (True, None), "model.safetensors": (True, None), "tokenizer.json": (True, "text"), "tokenizer_config.json": (False, "text"),
                "special_tokens_map.json": (False, "text"), "vocab.txt": (False, "text"), "preprocessor_config.json": (False, "image")}
_INPUTS_IN_ONE_PREDICT = 256
_IMAGES_IN_ONE_PREDICT, _IMAGE_BYTES_IN_ONE_PREDICT, _MAX_IMAGE_BYTES = 64, 32 << 20, 16 << 20
_WATCH_ATTEMPTS = 30
_SPLITS = ("train", "validation", "test")
Text = Union[str, Tuple[str, str]]
Image = Union[PathLike, bytes]


class Client:
    """A connection to one server. Thread-safe.

    Names may be short: "minilm" for "models/minilm", "j7/best" for "fineTuningJobs/j7/checkpoints/best". Transient faults are retried; creates carry a
    request_id, so that this is harmless. Failures raise AttuneError.
    """

    def __init__(self, address: Optional[str] = None, *, timeout: float = 30.0, long_timeout: float = 600.0, stall_timeout: float = 60.0,
                 retry: RetryPolicy = RetryPolicy(), channel: Optional[grpc.Channel] = None):
        """address: host:port or unix:/path; None means the environment's ATTUNE_SERVER, else 127.0.0.1:50051. Times in seconds: `timeout` of an
        ordinary call, `long_timeout` of those that read whole files, `stall_timeout` after which a silent stream counts as cut."""
        self.address = address or os.environ.get("ATTUNE_SERVER") or "127.0.0.1:50051"
        self.timeout, self.long_timeout, self.stall_timeout, self.retry = timeout, long_timeout, stall_timeout, retry
        self._channel = channel or grpc.insecure_channel(self.address, options=[
            ("grpc.max_receive_message_length", 64 << 20), ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)])
        self.uploads = upload_pb2_grpc.UploadServiceStub(self._channel)
        self.datasets = dataset_pb2_grpc.DatasetServiceStub(self._channel)
        self.models = model_pb2_grpc.ModelServiceStub(self._channel)
        self.jobs = fine_tuning_job_pb2_grpc.FineTuningJobServiceStub(self._channel)
        self.checkpoints = checkpoint_pb2_grpc.CheckpointServiceStub(self._channel)
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(self._channel)
        self.system = system_pb2_grpc.SystemServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def call(self, method: Callable, request, *, timeout: Optional[float] = None):
        """Makes a unary call of one of the stubs with the client's deadline and retries."""
        return call(self.retry, method, request, self.timeout if timeout is None else timeout)

    # Files in ---------------------------------------------------------------------------------------------------------------
    def upload(self, path: PathLike, *, filename: Optional[str] = None, progress: Optional[Progress] = None) -> v1.Upload:
        """Sends a file; after a cut, or in a later call, it goes on where it stopped."""
        path = Path(path)
        return transfer.upload_file(self, path, filename or path.name, progress)

    def import_dataset(self, files: Union[PathLike, Sequence[PathLike], Mapping[str, Union[PathLike, Sequence[PathLike]]]], *,
                       progress: Optional[Progress] = None, **fields) -> v1.Dataset:
        """Uploads files and makes a dataset of them. `files` is a path, several, or a mapping from "train", "validation" and "test" to paths; the path of a
        folder of images (train/CLASS/1.jpg or CLASS/1.jpg, or with a metadata.csv) sends it as one archive. `fields` are those of v1.ImportDatasetRequest:
        dataset_id, text_column, label_column, max_bad_rows, ..."""
        request = v1.ImportDatasetRequest(**fields)
        request.request_id = request.request_id or uuid.uuid4().hex
        request.tokenizer_model = _full_name(request.tokenizer_model, "models")
        for split, path in _by_split(files):
            request.files.add(upload=self._upload_file_or_folder(Path(path), progress).name, split=split)
        dataset = self._import(request)
        while dataset.state == v1.Dataset.STATE_IMPORTING:  # told of the first try's dataset after a cut
            self.retry.sleep(self.retry.initial_backoff)
            dataset = self.call(self.datasets.GetDataset, v1.GetDatasetRequest(name=dataset.name))
        if dataset.state == v1.Dataset.STATE_FAILED:
            raise AttuneError(grpc.StatusCode.INVALID_ARGUMENT, f"{dataset.name} could not be imported: {dataset.error}")
        return dataset

    def _upload_file_or_folder(self, path: Path, progress: Optional[Progress]) -> v1.Upload:
        if not path.is_dir():
            return self.upload(path, progress=progress)
        with tempfile.TemporaryDirectory() as scratch:
            tar = Path(scratch) / "folder.tar"
            transfer.pack_directory(path, tar)
            return self.upload(tar, filename=f"{path.resolve().name or 'folder'}.tar", progress=progress)

    def _import(self, request: v1.ImportDatasetRequest) -> v1.Dataset:
        retrier = Retrier(self.retry)
        while True:
            try:
                for response in read(self.datasets.ImportDataset(request), self.long_timeout):
                    if response.HasField("dataset"):
                        return response.dataset
                raise AttuneError(grpc.StatusCode.UNAVAILABLE, "the server ended the import without a dataset")
            except AttuneError as error:
                retrier.wait_after(error)

    def import_model(self, directory: PathLike, *, model_id: Optional[str] = None, display_name: str = "",
                     progress: Optional[Progress] = None) -> v1.Model:
        """Makes a base model of a directory with config.json and model.safetensors, as transformers' save_pretrained() writes it (text models: with
        tokenizer.json), or with a torchvision state_dict. model_id: None means the directory's name."""
        directory = Path(directory)
        names = _model_files(directory, None)
        modality = self._modality(directory / "config.json")
        if modality:  # otherwise the server says what is wrong
            names = _model_files(directory, modality)
        request = v1.ImportModelRequest(model_id=model_id or _id_from_path(directory), display_name=display_name, request_id=uuid.uuid4().hex)
        for name in names:
            request.files.add(path=name, upload=self.upload(directory / name, progress=progress).name)
        return self.call(self.models.ImportModel, request, timeout=self.long_timeout)

    def _modality(self, config: Path) -> str:
        """What the architecture of a config.json takes, "text" or "image"; empty where that cannot be said."""
        try:
            model_type = json.loads(config.read_text(encoding="utf-8"))["model_type"]
        except (ValueError, KeyError, TypeError):
            return ""
        for architecture in self.call(self.models.ListArchitectures, v1.ListArchitecturesRequest()).architectures:
            if architecture.name == model_type:
                return architecture.modality or "text"  # servers of before images do not say it
        return ""

    # Jobs -------------------------------------------------------------------------------------------------------------------
    def create_job(self, spec: Union[v1.FineTuningSpec, dict, None] = None, *, base_model: str = "", dataset: str = "", display_name: str = "",
                   labels: Optional[Dict[str, str]] = None, validate_only: bool = False, **hyperparameters) -> v1.FineTuningJob:
        """Creates a job. `spec` is a message, or a dict with the same field names; base_model, dataset and `hyperparameters` (n_epochs=2,
        learning_rate=5e-5, ...) are put over it. With validate_only nothing is queued, and effective_spec shows every default."""
        return self.call(self.jobs.CreateFineTuningJob, v1.CreateFineTuningJobRequest(
            spec=_merged_spec(spec, base_model, dataset, hyperparameters), display_name=display_name, labels=labels or {}, validate_only=validate_only,
            request_id=uuid.uuid4().hex))

    def plan(self, spec: Union[v1.FineTuningSpec, dict, None] = None, *, base_model: str = "", dataset: str = "", **hyperparameters) -> v1.PlanFineTuningJobResponse:
        """What a job would take (memory, time, disk, and the batch size that fits), measured by a worker in seconds to minutes; nothing is created. Arguments as of
        create_job."""
        return self.call(self.jobs.PlanFineTuningJob, v1.PlanFineTuningJobRequest(spec=_merged_spec(spec, base_model, dataset, hyperparameters)), timeout=self.long_timeout)

    def get_job(self, job: str) -> v1.FineTuningJob:
        return self.call(self.jobs.GetFineTuningJob, v1.GetFineTuningJobRequest(name=_full_name(job, "fineTuningJobs")))

    def cancel_job(self, job: str) -> v1.FineTuningJob:
        return self.call(self.jobs.CancelFineTuningJob, v1.CancelFineTuningJobRequest(name=_full_name(job, "fineTuningJobs")))

    def pause_job(self, job: str) -> v1.FineTuningJob:
        """Frees the job's worker until resume_job; it writes a checkpoint first."""
        return self.call(self.jobs.PauseFineTuningJob, v1.PauseFineTuningJobRequest(name=_full_name(job, "fineTuningJobs")))

    def resume_job(self, job: str) -> v1.FineTuningJob:
        return self.call(self.jobs.ResumeFineTuningJob, v1.ResumeFineTuningJobRequest(name=_full_name(job, "fineTuningJobs")))

    def set_priority(self, job: str, priority: int) -> v1.FineTuningJob:
        """-100 to 100; higher goes first."""
        request = v1.UpdateFineTuningJobRequest(fine_tuning_job=v1.FineTuningJob(name=_full_name(job, "fineTuningJobs"), priority=priority))
        request.update_mask.paths.append("priority")
        return self.call(self.jobs.UpdateFineTuningJob, request)

    def adjust(self, job: str, *, learning_rate_scale: float | None = None, n_epochs: int | None = None, early_stopping_patience: int | None = None) -> v1.FineTuningJob:
        """Changes how a job trains from its next optimizer step on; what is None stays. See LiveSettings."""
        given = {"learning_rate_scale": learning_rate_scale, "n_epochs": n_epochs, "early_stopping_patience": early_stopping_patience}
        given = {field: value for field, value in given.items() if value is not None}
        request = v1.UpdateFineTuningJobRequest(fine_tuning_job=v1.FineTuningJob(name=_full_name(job, "fineTuningJobs"), live_settings=v1.LiveSettings(**given)))
        request.update_mask.paths.extend(f"live_settings.{field}" for field in given)
        return self.call(self.jobs.UpdateFineTuningJob, request)

    def watch(self, job: str, after_sequence: int = 0, *, on_waiting: Optional[Callable[[v1.FineTuningJob], None]] = None) -> Iterator[v1.JobEvent]:
        """Yields the job's events, each exactly once and in order, until the terminal one; through cut connections and server restarts.

        on_waiting gets the job, while it waits, whenever jobs_ahead, state_reason, blocking_resource or predicted_start_time have changed.
        """
        name, last = _full_name(job, "fineTuningJobs"), after_sequence
        policy = RetryPolicy(max(_WATCH_ATTEMPTS, self.retry.max_attempts), self.retry.initial_backoff, self.retry.max_backoff, self.retry.sleep,
                             self.retry.random)
        retrier = Retrier(policy)
        while True:
            try:
                stream = self.jobs.WatchFineTuningJob(v1.WatchFineTuningJobRequest(name=name, after_sequence=last))
                for response in read(stream, self.stall_timeout):
                    events: Iterable[v1.JobEvent] = ()
                    if response.HasField("event"):
                        # A gap means that we were too slow and metrics were left out.
                        events = [*self._missing(name, last, response.event.sequence), response.event]
                    retrier.progressed()
                    if response.HasField("waiting") and on_waiting is not None:
                        on_waiting(response.waiting)
                    for event in events:
                        if event.sequence <= last:
                            continue
                        last = event.sequence
                        yield event
                        if event.state_changed.terminal:
                            return
                raise AttuneError(grpc.StatusCode.UNAVAILABLE, "the server ended the stream before the job ended")
            except AttuneError as error:
                retrier.wait_after(error)

    def _missing(self, name: str, last: int, following: int) -> List[v1.JobEvent]:
        found: List[v1.JobEvent] = []
        while last + 1 < following:
            page = self.call(self.jobs.ListJobEvents, v1.ListJobEventsRequest(parent=name, page_size=1000, after_sequence=last))
            new = [event for event in page.events if last < event.sequence < following]
            if not new:
                break
            found += new
            last = new[-1].sequence
        return found

    def wait(self, job: str, *, on_event: Optional[Callable[[v1.JobEvent], None]] = None) -> v1.FineTuningJob:
        """Waits for the end and returns the job. Raises JobFailed unless it succeeded."""
        for event in self.watch(job):
            if on_event is not None:
                on_event(event)
        ended = self.get_job(job)
        if ended.state != v1.FineTuningJob.STATE_SUCCEEDED:
            raise JobFailed(ended)
        return ended

    def verify_resume(self, job: str, from_step: Optional[int] = None) -> Dict[str, bool]:
        """Trains the way from one of the job's checkpoints (None: the last but one) to the next again, as a job of its own that is deleted afterwards. Says of each
        file of the later checkpoint whether its bytes came out equal."""
        source = self.get_job(job)
        page = self.call(self.checkpoints.ListCheckpoints, v1.ListCheckpointsRequest(parent=source.name, page_size=1000))
        kept = sorted((c for c in page.checkpoints if c.resumable), key=lambda c: c.step)
        begin = next((i for i, c in enumerate(kept) if c.step == from_step), -1) if from_step is not None else len(kept) - 2
        if not 0 <= begin < len(kept) - 1:
            raise ValueError(f"{source.name} has no two checkpoints that can be compared: those that can be resumed are at {[c.step for c in kept]}")
        first, second = kept[begin:begin + 2]
        if any(first.step < change.after_step < second.step for change in source.adjustments):
            raise ValueError(f"{source.name} was changed between its checkpoints at {first.step} and {second.step}; begin with another one")
        spec = v1.FineTuningSpec()
        spec.CopyFrom(source.effective_spec)
        spec.warm_start.checkpoint, spec.warm_start.part = first.name, v1.WarmStart.PART_ALL
        spec.checkpointing.save_steps, spec.scheduling.max_run_seconds = second.step, 0
        helper = self.create_job(spec, display_name=f"replay of {source.name}, steps {first.step} to {second.step}").name
        try:
            saved = next((e.checkpoint_saved.checkpoint for e in self.watch(helper) if e.checkpoint_saved.step == second.step), None)
            if saved is None:
                raise AttuneError(grpc.StatusCode.INTERNAL, f"{helper} ended without a checkpoint at step {second.step}")
            replayed = self.call(self.checkpoints.GetCheckpoint, v1.GetCheckpointRequest(name=saved))
        finally:
            self._remove_job(helper)
        there, here = ({f.path: f.sha256 for f in c.files} for c in (second, replayed))
        return {path: there.get(path) == here.get(path) for path in sorted({*there, *here})}

    def _remove_job(self, name: str) -> None:
        try:
            self.cancel_job(name)
        except AttuneError as error:
            if error.code != grpc.StatusCode.FAILED_PRECONDITION:  # it has ended
                raise
        for _ in self.watch(name):
            pass
        self.call(self.jobs.DeleteFineTuningJob, v1.DeleteFineTuningJobRequest(name=name))

    # Results ----------------------------------------------------------------------------------------------------------------
    def download(self, checkpoint: str, directory: PathLike, *, resume_files: bool = False, progress: Optional[Progress] = None) -> List[Path]:
        """Fetches a checkpoint ("JOB/best", or a job alone for its best) into a directory that transformers loads, every file checked by SHA-256; an interrupted download goes
        on where it stopped. With resume_files also optimizer state and data cursor."""
        return transfer.download_checkpoint(self, _checkpoint_name(checkpoint), Path(directory), resume_files, progress)

    def pin(self, checkpoint: str, pinned: bool = True) -> v1.Checkpoint:
        """Keeps a checkpoint ("JOB/30", "JOB/best") until it is unpinned (pinned=False) or its job is deleted."""
        request = v1.UpdateCheckpointRequest(checkpoint=v1.Checkpoint(name=_checkpoint_name(checkpoint), pinned=pinned))
        request.update_mask.paths.append("pinned")
        return self.call(self.checkpoints.UpdateCheckpoint, request)

    def predict(self, checkpoint: str, texts: Sequence[Text] = (), *, images: Sequence[Image] = (), views: int = 1) -> List[v1.Prediction]:
        """Classifies texts, or pairs of texts as tuples; or images: paths of JPEG, PNG, WebP or BMP files, or their content as bytes, 16 MiB at most each. Any number
        of one of the two, as the checkpoint's model takes. With views over 1, up to 32, probabilities are averaged over mirrored and cropped views of each image."""
        if len(texts) and len(images):
            raise ValueError("texts and images are given: a model takes one of the two")
        name, predictions = _checkpoint_name(checkpoint), []
        for request in (_image_requests(images) if len(images) else _text_requests(texts)):
            request.checkpoint, request.views = name, views
            response = self.call(self.prediction.Predict, request, timeout=self.long_timeout)
            predictions += response.predictions
            name = response.checkpoint or name  # the best may change between calls
        return predictions

    def evaluate(self, checkpoint: str, *, dataset: str = "", split: str = "", suspects: int = 0, batch_size: Optional[int] = None,
                 progress: Optional[Callable[[int, int], None]] = None) -> v1.CheckpointEvaluation:
        """Figures of a checkpoint on all rows of a split, with its calibration and its surest mistakes. dataset: one with the same classes; empty: the job's own. split:
        "train", "validation" or "test"; empty: test where it has rows, otherwise validation. suspects: so many training rows at most whose labels look wrong are looked for,
        which takes a pass over the training split. `progress` is called with (rows done, rows in all)."""
        request = v1.EvaluateRequest(checkpoint=_checkpoint_name(checkpoint), dataset=_full_name(dataset, "datasets"), find_suspects=suspects != 0, suspect_count=suspects,
                                     batch_size=batch_size)
        if split:
            request.split = _split(split)
        retrier = Retrier(self.retry)
        while True:
            try:
                for response in read(self.prediction.Evaluate(request), self.long_timeout):
                    if response.HasField("result"):
                        return response.result
                    if progress is not None:
                        progress(response.progress.rows_done, response.progress.rows_total)
                raise AttuneError(grpc.StatusCode.UNAVAILABLE, "the server ended the evaluation without a result")
            except AttuneError as error:
                retrier.wait_after(error)


def _merged_spec(spec: Union[v1.FineTuningSpec, dict, None], base_model: str, dataset: str, hyperparameters: dict) -> v1.FineTuningSpec:
    merged = v1.FineTuningSpec()
    if isinstance(spec, dict):
        json_format.ParseDict(spec, merged)
    elif spec is not None:
        merged.CopyFrom(spec)
    merged.base_model = _full_name(base_model or merged.base_model, "models")
    merged.dataset = _full_name(dataset or merged.dataset, "datasets")
    json_format.ParseDict(hyperparameters, merged.hyperparameters)
    return merged


def _text_requests(texts: Sequence[Text]) -> Iterator[v1.PredictRequest]:
    for begin in range(0, len(texts), _INPUTS_IN_ONE_PREDICT):
        request = v1.PredictRequest()
        for text in texts[begin:begin + _INPUTS_IN_ONE_PREDICT]:
            first, second = (text, "") if isinstance(text, str) else text
            request.inputs.add(text=first, text_pair=second)
        yield request


def _image_requests(images: Sequence[Image]) -> Iterator[v1.PredictRequest]:
    """Files are checked before the first request, and read as they are sent."""
    if isinstance(images, (str, bytes, os.PathLike)):
        raise TypeError("images must be a list: images=[image]")
    for image in images:
        size = len(image) if isinstance(image, bytes) else os.path.getsize(image)
        shown = "an image" if isinstance(image, bytes) else str(image)
        if not 0 < size <= _MAX_IMAGE_BYTES:
            raise ValueError(f"{shown} has {size} bytes and must have 1 to {_MAX_IMAGE_BYTES} (16 MiB)")
    request, size = v1.PredictRequest(), 0
    for image in images:
        content = image if isinstance(image, bytes) else Path(image).read_bytes()
        if len(request.images) == _IMAGES_IN_ONE_PREDICT or size + len(content) > _IMAGE_BYTES_IN_ONE_PREDICT:
            yield request
            request, size = v1.PredictRequest(), 0
        request.images.append(content)
        size += len(content)
    yield request


def _full_name(text: str, collection: str) -> str:
    return text if not text or "/" in text else f"{collection}/{text}"


def _checkpoint_name(text: str) -> str:
    parts = text.split("/")
    if parts[0] == "fineTuningJobs":
        parts = parts[1:]
    if len(parts) == 1 and parts[0]:
        parts.append("best")
    if len(parts) == 3 and parts[1] == "checkpoints":
        del parts[1]
    return f"fineTuningJobs/{parts[0]}/checkpoints/{parts[1]}" if len(parts) == 2 else text


def _id_from_path(path: Path) -> str:
    """A resource id from a directory name: lower case, anything outside a-z, 0-9 as '-', starting with a letter."""
    text = "".join(c if c.isascii() and c.isalnum() else "-" for c in path.resolve().name.lower()).lstrip("-0123456789")[:63].rstrip("-")
    if not text:
        raise ValueError(f"no model id can be made of {path}: give model_id")
    return text


def _model_files(directory: Path, modality: Optional[str]) -> List[str]:
    """Names of the files that go to the server. modality: None means that it is not known yet: whatever is there."""
    wanted = {name: required for name, (required, only) in _MODEL_FILES.items() if only in (None, modality) or modality is None}
    present = [name for name in wanted if (directory / name).is_file()]
    missing = [name for name, required in wanted.items() if required and name not in present and (modality or _MODEL_FILES[name][1] is None)]
    if missing:
        raise FileNotFoundError(f"{directory} has no {', no '.join(missing)}: a directory that save_pretrained() of transformers wrote has them; for a "
                                "torchvision model write config.json ({\"model_type\": \"resnet50\"}) and save the state_dict with safetensors")
    return present


def _by_split(files) -> List[Tuple[int, PathLike]]:
    if not isinstance(files, Mapping):
        return [(v1.SPLIT_UNSPECIFIED, path) for path in _as_list(files)]
    return [(_split(split), path) for split, paths in files.items() for path in _as_list(paths)]


def _split(name: str) -> int:
    if name not in _SPLITS:
        raise ValueError(f"unknown split {name!r}: use train, validation and test")
    return v1.Split.Value(f"SPLIT_{name.upper()}")


def _as_list(paths) -> List[PathLike]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
