"""When, and after how long, a call is made again. No clock and no I/O: Client and AsyncClient sleep."""
from __future__ import annotations

import dataclasses
import random
from typing import Any, Callable, Optional

from attune_client.errors import AttuneError


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a call is tried. All times in seconds."""
    max_attempts: int = 5  # tries in a row without progress, the first included
    initial_backoff: float = 0.2  # before the second try; doubles with each further one
    max_backoff: float = 10.0
    max_retry_delay: float = 60.0  # a server that asks for a longer wait (google.rpc.RetryInfo) gets none: its error is raised at once
    sleep: Optional[Callable[[float], Any]] = None  # None: time.sleep, or asyncio.sleep
    random: Callable[[], float] = random.random


class Backoff:
    """Counts the failures of one operation and says how long to wait after each."""

    def __init__(self, policy: RetryPolicy, *, min_attempts: int = 1):
        self._policy = policy
        self._max_attempts = max(policy.max_attempts, min_attempts)
        self._failures = 0

    def after(self, error: AttuneError, *, always: bool = False) -> float:
        """Seconds to wait before the next try. Raises `error` when another try makes no sense."""
        self._failures += 1
        asked = error.retry_delay or 0.0
        if not (error.transient or always) or self._failures >= self._max_attempts or asked > self._policy.max_retry_delay:
            raise error
        backoff = min(self._policy.max_backoff, self._policy.initial_backoff * 2.0 ** min(self._failures - 1, 30))
        return max(backoff * (0.5 + self._policy.random() / 2), asked)

    def progressed(self) -> None:
        self._failures = 0
