"""Files of this machine, on their way to the server or from it: digests, archives of folders, what belongs to a model."""
from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Iterable, List, Optional, Union

from attune_client import v1

PathLike = Union[str, "os.PathLike[str]"]

# File of a model -> (whether it is required, what a model that has it takes; None: any).
_MODEL_FILES = {"config.json": (True, None), "model.safetensors": (True, None), "tokenizer.json": (True, "text"), "tokenizer_config.json": (False, "text"),
                "special_tokens_map.json": (False, "text"), "vocab.txt": (False, "text"), "preprocessor_config.json": (False, "image")}


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def pack_directory(directory: Path, tar: Path) -> None:
    """Packs a folder of images into a tar file. The same folder gives the same bytes, so that an upload that was cut finds them again: entries are sorted,
    times and owners left out, hidden files too."""
    files = 0
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT, dereference=True) as archive:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory)
            if any(part.startswith(".") for part in name.parts) or not (path.is_dir() or path.is_file()):
                continue
            info = tarfile.TarInfo(name.as_posix())
            if path.is_dir():
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
                continue
            files += 1
            with open(path, "rb") as content:
                info.size = os.fstat(content.fileno()).st_size
                archive.addfile(info, content)
    if files == 0:
        raise ValueError(f"{directory} has no files: put images into it, in a folder for each class")


def raise_if_changed(path: Path, before: os.stat_result) -> None:
    now = os.stat(path)
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ValueError(f"{path} changed while it was being uploaded; upload it again when nothing writes to it")


def model_files(directory: Path, modality: Optional[str]) -> List[str]:
    """Names of the files that go to the server. modality: None means that it is not known yet: whatever is there."""
    wanted = {name: required for name, (required, only) in _MODEL_FILES.items() if only in (None, modality) or modality is None}
    present = [name for name in wanted if (directory / name).is_file()]
    missing = [name for name, required in wanted.items() if required and name not in present and (modality or _MODEL_FILES[name][1] is None)]
    if missing:
        raise FileNotFoundError(f"{directory} has no {', no '.join(missing)}: a directory that save_pretrained() of transformers wrote has them; for a "
                                "torchvision model write config.json ({\"model_type\": \"resnet50\"}) and save the state_dict with safetensors")
    return present


def raise_if_unsafe(files: Iterable[v1.CheckpointFile]) -> None:
    """A server must not write outside the directory of a download."""
    for file in files:
        if any(part in ("", ".", "..") for part in file.path.split("/")) or "\0" in file.path:
            raise ValueError(f"the server lists a file with the unsafe name {file.path!r}")
