# Made by client/python/make_sync.py from attune_client/_async/uploads.py; change that.
"""Files to the server, through cut connections. Used by Client, which explains them."""
from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Iterator, Callable

import grpc

from attune_client import v1
from attune_client._sync.connection import Connection
from attune_client._sync.transport import run_blocking, send
from attune_client.errors import AttuneError, error_of
from attune_client.local_files import raise_if_changed, sha256_of
from attune_client.progress import TransferProgress
from attune_client.retry import Backoff

PIECE = 256 << 10


def upload_file(client: Connection, path: Path, filename: str, progress: TransferProgress) -> v1.Upload:
    before = os.stat(path)
    if before.st_size == 0:
        raise ValueError(f"{path} is empty")
    digest = run_blocking(sha256_of, path)
    key = hashlib.sha256(f"{filename}\n{before.st_size}\n{digest}".encode()).hexdigest()
    # The same file sent again continues, or reuses, what is there.
    request = v1.CreateUploadRequest(filename=filename, size_bytes=before.st_size, sha256=digest, request_id="upload-" + key[:32])
    upload: v1.Upload = client.call(client.uploads.CreateUpload, request)
    backoff = Backoff(client.retry)
    restarted = recreated = False
    while upload.state != v1.Upload.STATE_COMPLETE:
        progress(filename, upload.committed_bytes, before.st_size)
        try:
            upload = _write_once(client, path, upload, lambda done: progress(filename, done, before.st_size))
            continue
        except AttuneError as error:
            raise_if_changed(path, before)
            if error.code == grpc.StatusCode.DATA_LOSS and not restarted:
                restarted = True
            elif error.code == grpc.StatusCode.NOT_FOUND and not recreated:
                recreated = True  # an upload of an earlier run that has expired
                request.request_id = uuid.uuid4().hex
                upload = client.call(client.uploads.CreateUpload, request)
                continue
            else:
                client._pause(backoff.after(error, always=error.code in (grpc.StatusCode.ABORTED, grpc.StatusCode.OUT_OF_RANGE)))
        committed = upload.committed_bytes
        upload = client.call(client.uploads.GetUpload, v1.GetUploadRequest(name=upload.name))
        if upload.committed_bytes > committed:
            backoff.progressed()
    raise_if_changed(path, before)
    progress(filename, before.st_size, before.st_size)
    return upload


def _write_once(client: Connection, path: Path, upload: v1.Upload, report: Callable[[int], None]) -> v1.Upload:
    moved = upload.committed_bytes

    def messages() -> Iterator[v1.WriteUploadRequest]:
        nonlocal moved
        with open(path, "rb") as file:
            file.seek(upload.committed_bytes)
            yield v1.WriteUploadRequest(name=upload.name, offset=upload.committed_bytes, data=run_blocking(file.read, PIECE))
            while piece := run_blocking(file.read, PIECE):
                moved = file.tell() - len(piece)
                report(moved)
                yield v1.WriteUploadRequest(data=piece)

    result: v1.Upload = send(client.uploads.WriteUpload, messages(), lambda: moved, client.stall_timeout)
    if result.state != v1.Upload.STATE_COMPLETE:
        raise error_of(grpc.StatusCode.UNAVAILABLE, f"the server ended the upload at byte {result.committed_bytes}")
    return result
