"""Requests from what people write: short names, dicts, texts, image files. No calls."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from google.protobuf import json_format

from attune_client import v1
from attune_client.local_files import PathLike

Text = Union[str, Tuple[str, str]]
Image = Union[PathLike, bytes]
Spec = Union[v1.FineTuningSpec, Dict[str, Any], None]
Files = Union[PathLike, Sequence[PathLike], Mapping[str, Union[PathLike, Sequence[PathLike]]]]

_INPUTS_IN_ONE_PREDICT = 256
_IMAGES_IN_ONE_PREDICT, _IMAGE_BYTES_IN_ONE_PREDICT, _MAX_IMAGE_BYTES = 64, 32 << 20, 16 << 20
_SPLITS = ("train", "validation", "test")


def full_name(text: str, collection: str) -> str:
    return text if not text or "/" in text else f"{collection}/{text}"


def job_name(text: str) -> str:
    return full_name(text, "fineTuningJobs")


def checkpoint_name(text: str) -> str:
    parts = text.split("/")
    if parts[0] == "fineTuningJobs":
        parts = parts[1:]
    if len(parts) == 1 and parts[0]:
        parts.append("best")
    if len(parts) == 3 and parts[1] == "checkpoints":
        del parts[1]
    return f"fineTuningJobs/{parts[0]}/checkpoints/{parts[1]}" if len(parts) == 2 else text


def id_from_path(path: Path) -> str:
    """A resource id from a directory name: lower case, anything outside a-z, 0-9 as '-', starting with a letter."""
    text = "".join(c if c.isascii() and c.isalnum() else "-" for c in path.resolve().name.lower()).lstrip("-0123456789")[:63].rstrip("-")
    if not text:
        raise ValueError(f"no model id can be made of {path}: give model_id")
    return text


def merged_spec(spec: Spec, base_model: str, dataset: str, hyperparameters: Mapping[str, Any]) -> v1.FineTuningSpec:
    """`spec` with the others put over it. Raises google.protobuf.json_format.ParseError for a field that is not there."""
    merged = v1.FineTuningSpec()
    if isinstance(spec, dict):
        json_format.ParseDict(spec, merged)
    elif spec is not None:
        merged.CopyFrom(spec)
    merged.base_model = full_name(base_model or merged.base_model, "models")
    merged.dataset = full_name(dataset or merged.dataset, "datasets")
    json_format.ParseDict(dict(hyperparameters), merged.hyperparameters)
    return merged


def job_update(job: v1.FineTuningJob, paths: Sequence[str]) -> v1.UpdateFineTuningJobRequest:
    request = v1.UpdateFineTuningJobRequest(fine_tuning_job=job)
    request.update_mask.paths.extend(paths)
    return request


def by_split(files: Files) -> List[Tuple[v1.Split, PathLike]]:
    if not isinstance(files, Mapping):
        return [(v1.SPLIT_UNSPECIFIED, path) for path in _as_list(files)]
    return [(split_of(split), path) for split, paths in files.items() for path in _as_list(paths)]


def split_of(name: str) -> v1.Split:
    if name not in _SPLITS:
        raise ValueError(f"unknown split {name!r}: use train, validation and test")
    split: v1.Split = getattr(v1, f"SPLIT_{name.upper()}")
    return split


def predict_requests(texts: Sequence[Text], images: Sequence[Image]) -> Iterator[v1.PredictRequest]:
    """As many requests as the sizes ask for. Files of images are checked before the first one, and read as they are sent."""
    if len(texts) and len(images):
        raise ValueError("texts and images are given: a model takes one of the two")
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be a list: predict(checkpoint, [text])")
    return _image_requests(images) if len(images) else _text_requests(texts)


def _text_requests(texts: Sequence[Text]) -> Iterator[v1.PredictRequest]:
    for begin in range(0, len(texts), _INPUTS_IN_ONE_PREDICT):
        request = v1.PredictRequest()
        for text in texts[begin:begin + _INPUTS_IN_ONE_PREDICT]:
            first, second = (text, "") if isinstance(text, str) else text
            request.inputs.add(text=first, text_pair=second)
        yield request


def _image_requests(images: Sequence[Image]) -> Iterator[v1.PredictRequest]:
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


def _as_list(paths: Union[PathLike, Sequence[PathLike]]) -> List[PathLike]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def replayed_pair(source: v1.FineTuningJob, checkpoints: Sequence[v1.Checkpoint], from_step: Optional[int]) -> Tuple[v1.Checkpoint, v1.Checkpoint]:
    """Two neighbouring checkpoints of a job of which the later can be made again from the earlier; from_step None: the last two. Raises ValueError where there are none."""
    kept = sorted((c for c in checkpoints if c.resumable), key=lambda c: c.step)
    begin = next((i for i, c in enumerate(kept) if c.step == from_step), -1) if from_step is not None else len(kept) - 2
    if not 0 <= begin < len(kept) - 1:
        raise ValueError(f"{source.name} has no two checkpoints that can be compared: those that can be resumed are at {[c.step for c in kept]}")
    first, second = kept[begin:begin + 2]
    if any(first.step < change.after_step < second.step for change in source.adjustments):
        raise ValueError(f"{source.name} was changed between its checkpoints at {first.step} and {second.step}; begin with another one")
    return first, second


def replay_spec(source: v1.FineTuningJob, first: v1.Checkpoint, second: v1.Checkpoint) -> v1.FineTuningSpec:
    spec = v1.FineTuningSpec()
    spec.CopyFrom(source.effective_spec)
    spec.warm_start.checkpoint, spec.warm_start.part = first.name, v1.WarmStart.PART_ALL
    spec.checkpointing.save_steps, spec.scheduling.max_run_seconds = second.step, 0
    return spec
