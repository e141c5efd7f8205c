"""Files to and from the server, through cut connections. Used by Client, which explains them."""
from __future__ import annotations

import concurrent.futures
import hashlib
import os
import tarfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Union

import grpc

from attune_client import v1
from attune_client.errors import AttuneError, from_rpc_error
from attune_client.retry import Retrier, read

if TYPE_CHECKING:
    from attune_client.client import Client

PathLike = Union[str, "os.PathLike[str]"]
# Called with (file name, bytes done, bytes in all).
Progress = Callable[[str, int, int], None]
PIECE = 256 << 10


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


def upload_file(client: "Client", path: Path, filename: str, progress: Optional[Progress]) -> v1.Upload:
    before = os.stat(path)
    if before.st_size == 0:
        raise ValueError(f"{path} is empty")
    digest = sha256_of(path)
    key = hashlib.sha256(f"{filename}\n{before.st_size}\n{digest}".encode()).hexdigest()
    # The same file sent again continues, or reuses, what is there.
    request = v1.CreateUploadRequest(filename=filename, size_bytes=before.st_size, sha256=digest, request_id="upload-" + key[:32])
    upload = client.call(client.uploads.CreateUpload, request)
    retrier = Retrier(client.retry)
    restarted = recreated = False
    report = (lambda done: progress(filename, done, before.st_size)) if progress else (lambda done: None)
    while upload.state != v1.Upload.STATE_COMPLETE:
        report(upload.committed_bytes)
        try:
            upload = _write_once(client, path, upload, report)
            continue
        except AttuneError as error:
            _raise_if_changed(path, before)
            if error.code == grpc.StatusCode.DATA_LOSS and not restarted:
                restarted = True
            elif error.code == grpc.StatusCode.NOT_FOUND and not recreated:
                recreated = True  # an upload of an earlier run that has expired
                request.request_id = uuid.uuid4().hex
                upload = client.call(client.uploads.CreateUpload, request)
                continue
            else:
                retrier.wait_after(error, always=error.code in (grpc.StatusCode.ABORTED, grpc.StatusCode.OUT_OF_RANGE))
        committed = upload.committed_bytes
        upload = client.call(client.uploads.GetUpload, v1.GetUploadRequest(name=upload.name))
        if upload.committed_bytes > committed:
            retrier.progressed()
    _raise_if_changed(path, before)
    report(before.st_size)
    return upload


def _raise_if_changed(path: Path, before: os.stat_result) -> None:
    now = os.stat(path)
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ValueError(f"{path} changed while it was being uploaded; upload it again when nothing writes to it")


def _write_once(client: "Client", path: Path, upload: v1.Upload, report: Callable[[int], None]) -> v1.Upload:
    moved = upload.committed_bytes

    def messages():
        nonlocal moved
        with open(path, "rb") as file:
            file.seek(upload.committed_bytes)
            message = v1.WriteUploadRequest(name=upload.name, offset=upload.committed_bytes, data=file.read(PIECE))
            yield message
            while piece := file.read(PIECE):
                moved = file.tell() - len(piece)
                report(moved)
                yield v1.WriteUploadRequest(data=piece)

    future = client.uploads.WriteUpload.future(messages())
    seen = None
    while True:
        try:
            result = future.result(timeout=client.stall_timeout)
            break
        except (grpc.FutureTimeoutError, concurrent.futures.TimeoutError):
            if seen == moved:  # nothing was taken from us in all that time
                future.cancel()
                raise AttuneError(grpc.StatusCode.UNAVAILABLE, f"the server took nothing for {client.stall_timeout:g} s") from None
            seen = moved
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
    if result.state != v1.Upload.STATE_COMPLETE:
        raise AttuneError(grpc.StatusCode.UNAVAILABLE, f"the server ended the upload at byte {result.committed_bytes}")
    return result


def download_checkpoint(client: "Client", name: str, directory: Path, resume_files: bool, progress: Optional[Progress]) -> List[Path]:
    checkpoint = client.call(client.checkpoints.GetCheckpoint, v1.GetCheckpointRequest(name=name))
    wanted = [f for f in checkpoint.files if resume_files or f.purpose == v1.CheckpointFile.PURPOSE_WEIGHTS]
    if not wanted:
        raise FileNotFoundError(f"{checkpoint.name} lists no files to download")
    for file in wanted:  # a server must not write outside the directory
        if any(part in ("", ".", "..") for part in file.path.split("/")) or "\0" in file.path:
            raise ValueError(f"the server lists a file with the unsafe name {file.path!r}")
    total, done, paths = sum(f.size_bytes for f in wanted), 0, []
    for file in wanted:
        report = (lambda n, file=file, done=done: progress(file.path, done + n, total)) if progress else (lambda n: None)
        # By the name with the step: "best" may come to mean another checkpoint meanwhile.
        paths.append(_fetch(client, checkpoint.name, file, directory / file.path, report))
        done += file.size_bytes
        report(file.size_bytes)
    return paths


def _fetch(client: "Client", checkpoint: str, file: v1.CheckpointFile, path: Path, report: Callable[[int], None]) -> Path:
    """One file: NAME.part until it is whole and its hash is right. What an earlier call left in NAME.part is used."""
    if path.is_file() and path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if part.exists() and part.stat().st_size > file.size_bytes:
        part.unlink()
    for last_try in (False, True):
        with open(part, "ab") as out:
            _fetch_rest(client, checkpoint, file, out, report)
            out.flush()
            os.fsync(out.fileno())
        if sha256_of(part) == file.sha256:
            os.replace(part, path)
            return path
        # NAME.part may be of another checkpoint; a fresh copy that is wrong again is the server's fault.
        part.unlink()
    raise AttuneError(grpc.StatusCode.DATA_LOSS, f"{file.path} arrived twice with a SHA-256 other than {file.sha256}; try another checkpoint")


def _fetch_rest(client: "Client", checkpoint: str, file: v1.CheckpointFile, out, report: Callable[[int], None]) -> None:
    retrier = Retrier(client.retry)
    offset = out.tell()
    report(offset)
    while offset < file.size_bytes:
        request = v1.DownloadCheckpointFileRequest(name=checkpoint, path=file.path, offset=offset)
        try:
            for piece in read(client.checkpoints.DownloadCheckpointFile(request), client.stall_timeout):
                if piece.offset != offset or offset + len(piece.data) > file.size_bytes:
                    raise AttuneError(grpc.StatusCode.DATA_LOSS, f"{file.path}: the server sent byte {piece.offset} where {offset} was due")
                out.write(piece.data)
                offset += len(piece.data)
                retrier.progressed()
                report(offset)
            if offset < file.size_bytes:
                raise AttuneError(grpc.StatusCode.UNAVAILABLE, f"{file.path} ended at byte {offset} of {file.size_bytes}")
        except AttuneError as error:
            retrier.wait_after(error)
