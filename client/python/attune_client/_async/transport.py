"""What differs between asyncio and threads: channels, calls, streams, waiting. The folder _sync has the same functions over threads."""
from __future__ import annotations

import asyncio
import inspect
from contextlib import aclosing
from typing import Any, AsyncGenerator, AsyncIterator, Callable, List, Sequence, Tuple, TypeVar

import grpc
import grpc.aio

from attune_client.errors import error_of, from_rpc_error
from attune_client.retry import RetryPolicy
from attune_client.settings import ConnectionSettings

__all__ = ["Channel", "Stream", "aclosing", "call_once", "open_channel", "pause", "read", "run_blocking", "send"]
T = TypeVar("T")
Channel = grpc.aio.Channel
Stream = AsyncGenerator[T, None]


def open_channel(settings: ConnectionSettings) -> Channel:
    options, interceptors = settings.channel_options(), _metadata_senders(settings.metadata())
    if settings.credentials is None:
        return grpc.aio.insecure_channel(settings.address, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(settings.address, settings.credentials, options=options, interceptors=interceptors)


async def call_once(method: Callable[..., Any], request: Any, timeout: float) -> Any:
    """A unary call. Raises AttuneError."""
    try:
        return await method(request, timeout=timeout)
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


async def read(stream: Any, stall_timeout: float) -> Stream[Any]:
    """Yields the messages of a server stream. Raises AttuneError; UNAVAILABLE when nothing comes for stall_timeout seconds."""
    try:
        while True:
            message = await asyncio.wait_for(stream.read(), stall_timeout)
            if message is grpc.aio.EOF:
                return
            yield message
    except asyncio.TimeoutError as error:
        raise error_of(grpc.StatusCode.UNAVAILABLE, f"nothing came from the server for {stall_timeout:g} s") from error
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        stream.cancel()


async def send(method: Callable[..., Any], messages: AsyncIterator[Any], moved: Callable[[], int], stall_timeout: float) -> Any:
    """A client stream. `moved` is a figure that rises while the server takes messages. Raises AttuneError; UNAVAILABLE when it stands still for stall_timeout seconds."""
    call = method(messages)
    answer = asyncio.ensure_future(_answer_of(call))
    seen = -1
    try:
        while not (await asyncio.wait({answer}, timeout=stall_timeout))[0]:
            if seen == moved():
                raise error_of(grpc.StatusCode.UNAVAILABLE, f"the server took nothing for {stall_timeout:g} s")
            seen = moved()
        return answer.result()
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        call.cancel()
        answer.cancel()


async def pause(policy: RetryPolicy, seconds: float) -> None:
    waiting = (policy.sleep or asyncio.sleep)(seconds)
    if inspect.isawaitable(waiting):
        await waiting


async def run_blocking(function: Callable[..., T], *arguments: Any) -> T:
    """Runs what waits for a disk where it holds up nobody else."""
    return await asyncio.to_thread(function, *arguments)


async def _answer_of(call: Any) -> Any:
    return await call


def _with_metadata(details: Any, metadata: Sequence[Tuple[str, str]]) -> grpc.aio.ClientCallDetails:
    merged = grpc.aio.Metadata(*(tuple(details.metadata or ())), *metadata)
    return grpc.aio.ClientCallDetails(details.method, details.timeout, merged, details.credentials, details.wait_for_ready)


# gRPC asks for a class of its own for each kind of call.
class _UnaryUnarySender(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, metadata: Sequence[Tuple[str, str]]):
        self._metadata = metadata

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_metadata(client_call_details, self._metadata), request)


class _UnaryStreamSender(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, metadata: Sequence[Tuple[str, str]]):
        self._metadata = metadata

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_with_metadata(client_call_details, self._metadata), request)


class _StreamUnarySender(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, metadata: Sequence[Tuple[str, str]]):
        self._metadata = metadata

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_with_metadata(client_call_details, self._metadata), request_iterator)


def _metadata_senders(metadata: Sequence[Tuple[str, str]]) -> List[grpc.aio.ClientInterceptor]:
    """gRPC's own call credentials refuse a plaintext channel, which loopback is; settings.py has decided where a token may go."""
    return [_UnaryUnarySender(metadata), _UnaryStreamSender(metadata), _StreamUnarySender(metadata)] if metadata else []
