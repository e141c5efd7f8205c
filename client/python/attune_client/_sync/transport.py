"""What differs between asyncio and threads: channels, calls, streams, waiting. The folder _async has the same functions over asyncio."""
from __future__ import annotations

import collections
import concurrent.futures
import threading
import time
from contextlib import closing
from typing import Any, Callable, Generator, Iterator, Optional, Sequence, Tuple, TypeVar

import grpc

from attune_client.errors import error_of, from_rpc_error
from attune_client.retry import RetryPolicy
from attune_client.settings import ConnectionSettings

__all__ = ["Channel", "Stream", "call_once", "closing", "open_channel", "pause", "read", "run_blocking", "send"]
T = TypeVar("T")
Channel = grpc.Channel
Stream = Generator[T, None, None]


def open_channel(settings: ConnectionSettings) -> Channel:
    options, metadata = settings.channel_options(), settings.metadata()
    if settings.credentials is None:
        channel = grpc.insecure_channel(settings.address, options=options)
    else:
        channel = grpc.secure_channel(settings.address, settings.credentials, options=options)
    # gRPC's own call credentials refuse a plaintext channel, which loopback is; settings.py has decided where a token may go.
    return grpc.intercept_channel(channel, _MetadataSender(metadata)) if metadata else channel


def call_once(method: Callable[..., Any], request: Any, timeout: float) -> Any:
    """A unary call. Raises AttuneError."""
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


def read(stream: Any, stall_timeout: float) -> Stream[Any]:
    """Yields the messages of a server stream. Raises AttuneError; UNAVAILABLE when nothing comes for stall_timeout seconds."""
    guard = _StallGuard(stream, stall_timeout)
    try:
        while True:
            with guard:
                try:
                    message = next(stream)
                except StopIteration:
                    return
            yield message
    except grpc.RpcError as error:
        if guard.fired:
            raise error_of(grpc.StatusCode.UNAVAILABLE, f"nothing came from the server for {stall_timeout:g} s") from error
        raise from_rpc_error(error) from error
    finally:
        guard.stop()
        stream.cancel()


def send(method: Any, messages: Iterator[Any], moved: Callable[[], int], stall_timeout: float) -> Any:
    """A client stream. `moved` is a figure that rises while the server takes messages. Raises AttuneError; UNAVAILABLE when it stands still for stall_timeout seconds."""
    future = method.future(messages)
    seen = -1
    try:
        while True:
            try:
                return future.result(timeout=stall_timeout)
            except (grpc.FutureTimeoutError, concurrent.futures.TimeoutError):
                if seen == moved():
                    raise error_of(grpc.StatusCode.UNAVAILABLE, f"the server took nothing for {stall_timeout:g} s") from None
                seen = moved()
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    finally:
        future.cancel()


def pause(policy: RetryPolicy, seconds: float) -> None:
    (policy.sleep or time.sleep)(seconds)


def run_blocking(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)


_CallDetails = collections.namedtuple("_CallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"))


class _CallDetailsWithMetadata(_CallDetails, grpc.ClientCallDetails):
    pass


def _with_metadata(details: Any, metadata: Sequence[Tuple[str, str]]) -> _CallDetailsWithMetadata:
    merged = (*(details.metadata or ()), *metadata)
    return _CallDetailsWithMetadata(details.method, details.timeout, merged, details.credentials, details.wait_for_ready, details.compression)


class _MetadataSender(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    def __init__(self, metadata: Sequence[Tuple[str, str]]):
        self._metadata = metadata

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_metadata(client_call_details, self._metadata), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(_with_metadata(client_call_details, self._metadata), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(_with_metadata(client_call_details, self._metadata), request_iterator)


class _StallGuard:
    """Cancels a stream when one wait for it (a `with` block) takes too long."""

    def __init__(self, stream: Any, limit: float):
        self.fired = False
        self._stream = stream
        self._limit = limit
        self._since: Optional[float] = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit / 4):
            since = self._since
            if since is not None and time.monotonic() - since > self._limit:
                self.fired = True
                self._stream.cancel()
                return
