"""Files of checkpoints from the server, through cut connections. Used by Client, which explains them."""
from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Callable, List

import grpc

from attune_client import v1
from attune_client._async.connection import AsyncConnection
from attune_client._async.transport import aclosing, read, run_blocking
from attune_client.errors import AttuneError, error_of
from attune_client.local_files import raise_if_unsafe, sha256_of
from attune_client.progress import TransferProgress
from attune_client.retry import Backoff


async def download_checkpoint(client: AsyncConnection, name: str, directory: Path, resume_files: bool, progress: TransferProgress) -> List[Path]:
    checkpoint: v1.Checkpoint = await client.call(client.checkpoints.GetCheckpoint, v1.GetCheckpointRequest(name=name))
    wanted = [f for f in checkpoint.files if resume_files or f.purpose == v1.CheckpointFile.PURPOSE_WEIGHTS]
    if not wanted:
        raise FileNotFoundError(f"{checkpoint.name} lists no files to download")
    raise_if_unsafe(wanted)
    total, done = sum(f.size_bytes for f in wanted), 0
    paths: List[Path] = []
    for file in wanted:
        def report(n: int, path: str = file.path, before: int = done) -> None:
            progress(path, before + n, total)
        # By the name with the step: "best" may come to mean another checkpoint meanwhile.
        paths.append(await _fetch(client, checkpoint.name, file, directory / file.path, report))
        done += file.size_bytes
        report(file.size_bytes)
    return paths


async def _fetch(client: AsyncConnection, checkpoint: str, file: v1.CheckpointFile, path: Path, report: Callable[[int], None]) -> Path:
    """One file: NAME.part until it is whole and its hash is right. What an earlier call left in NAME.part is used."""
    if path.is_file() and path.stat().st_size == file.size_bytes and await run_blocking(sha256_of, path) == file.sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if part.exists() and part.stat().st_size > file.size_bytes:
        part.unlink()
    for _ in range(2):
        with open(part, "ab") as out:
            await _fetch_rest(client, checkpoint, file, out, report)
            out.flush()
            await run_blocking(os.fsync, out.fileno())
        if await run_blocking(sha256_of, part) == file.sha256:
            os.replace(part, path)
            return path
        # NAME.part may be of another checkpoint; a fresh copy that is wrong again is the server's fault.
        part.unlink()
    raise error_of(grpc.StatusCode.DATA_LOSS, f"{file.path} arrived twice with a SHA-256 other than {file.sha256}; try another checkpoint")


async def _fetch_rest(client: AsyncConnection, checkpoint: str, file: v1.CheckpointFile, out: BinaryIO, report: Callable[[int], None]) -> None:
    backoff = Backoff(client.retry)
    offset = out.tell()
    report(offset)
    while offset < file.size_bytes:
        request = v1.DownloadCheckpointFileRequest(name=checkpoint, path=file.path, offset=offset)
        try:
            async with aclosing(read(client.checkpoints.DownloadCheckpointFile(request), client.stall_timeout)) as pieces:
                async for piece in pieces:
                    if piece.offset != offset or offset + len(piece.data) > file.size_bytes:
                        raise error_of(grpc.StatusCode.DATA_LOSS, f"{file.path}: the server sent byte {piece.offset} where {offset} was due")
                    await run_blocking(out.write, piece.data)
                    offset += len(piece.data)
                    backoff.progressed()
                    report(offset)
            if offset < file.size_bytes:
                raise error_of(grpc.StatusCode.UNAVAILABLE, f"{file.path} ended at byte {offset} of {file.size_bytes}")
        except AttuneError as error:
            await client._pause(backoff.after(error))
