"""When and how long to wait before a call is made again, and an end to streams on which nothing moves."""
from __future__ import annotations

import dataclasses
import random
import threading
import time
from typing import Callable, Iterator, TypeVar

import grpc

from attune_client.errors import AttuneError, from_rpc_error

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    max_attempts: int = 5  # tries in a row without progress, the first included
    initial_backoff: float = 0.2  # seconds before the second try; doubles with each further one
    max_backoff: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


class Retrier:
    """Counts the failures of one operation and waits between them."""

    def __init__(self, policy: RetryPolicy):
        self._policy = policy
        self._failures = 0

    def wait_after(self, error: AttuneError, *, always: bool = False) -> None:
        """Sleeps, or raises `error` when another try makes no sense."""
        self._failures += 1
        if not (error.transient or always) or self._failures >= self._policy.max_attempts:
            raise error
        backoff = min(self._policy.max_backoff, self._policy.initial_backoff * 2 ** min(self._failures - 1, 30))
        self._policy.sleep(max(backoff * (0.5 + self._policy.random() / 2), error.retry_delay or 0))

    def progressed(self) -> None:
        self._failures = 0


def call(policy: RetryPolicy, method: Callable, request, timeout: float):
    """A unary call, tried until it succeeds or may not be tried again."""
    retrier = Retrier(policy)
    while True:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            retrier.wait_after(from_rpc_error(error))


def read(stream, stall_timeout: float) -> Iterator:
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
            raise AttuneError(grpc.StatusCode.UNAVAILABLE, f"nothing came from the server for {stall_timeout:g} s") from error
        raise from_rpc_error(error) from error
    finally:
        guard.stop()
        stream.cancel()


class _StallGuard:
    """Cancels a stream when one wait for it (a `with` block) takes too long."""

    def __init__(self, stream, limit: float):
        self.fired = False
        self._stream = stream
        self._limit = limit
        self._since = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self):
        self._since = time.monotonic()

    def __exit__(self, *_):
        self._since = None

    def stop(self):
        self._stopped.set()
        self._thread.join()

    def _watch(self):
        while not self._stopped.wait(self._limit / 4):
            since = self._since
            if since is not None and time.monotonic() - since > self._limit:
                self.fired = True
                self._stream.cancel()
                return
