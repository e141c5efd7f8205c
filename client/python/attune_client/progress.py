"""Progress bars: tqdm's where it is installed, otherwise a plain line; and only where standard error is a terminal, unless they are asked for."""
from __future__ import annotations

import contextlib
import sys
import time
from typing import Any, Callable, Iterator, Optional, Protocol, TextIO, Union

# Called with (file name, bytes done, bytes in all).
TransferProgress = Callable[[str, int, int], None]
# Called with (rows done, rows in all).
RowProgress = Callable[[int, int], None]
# None: a bar on a terminal. True: a bar anywhere, notebooks too. False: none.
Bar = Optional[bool]

_REDRAW_SECONDS = 0.1


class _Drawn(Protocol):
    def update_to(self, done: int, total: int, note: str) -> None: ...
    def close(self) -> None: ...


class _PlainBar:
    """One line on standard error that is written over, at most ten times a second."""

    def __init__(self, title: str, unit: str, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self._title, self._unit, self._stream, self._clock = title, unit, stream, clock
        self._drawn_at, self._width = float("-inf"), 0

    def update_to(self, done: int, total: int, note: str) -> None:
        now = self._clock()
        if now - self._drawn_at < _REDRAW_SECONDS and done < total:
            return
        self._drawn_at = now
        share = f"{done / total:4.0%} " if total else ""
        line = f"{self._title}: {share}{_amount(done, self._unit)}" + (f" of {_amount(total, self._unit)}" if total else "") + (f", {note}" if note else "")
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def close(self) -> None:
        if self._width:
            self._stream.write("\n")
            self._stream.flush()


class _TqdmBar:
    def __init__(self, tqdm: Any, title: str, unit: str, stream: Optional[TextIO]):
        self._bar = tqdm(desc=title, unit=unit, unit_scale=unit == "B", file=stream)

    def update_to(self, done: int, total: int, note: str) -> None:
        self._bar.total = total or None
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()


def _amount(number: int, unit: str) -> str:
    return f"{number / 1e6:.1f} MB" if unit == "B" else f"{number} {unit}"


def wanted(bar: Bar, stream: Optional[TextIO] = None) -> bool:
    stream = stream or sys.stderr
    return bar if bar is not None else bool(stream is not None and stream.isatty())


def open_bar(title: str, unit: str, stream: Optional[TextIO] = None) -> _Drawn:
    """unit: "B" for bytes, otherwise a word."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _PlainBar(title, unit, stream or sys.stderr)
    return _TqdmBar(tqdm, title, unit, stream)


class _Bars:
    """One bar at a time; a new title closes the one before."""

    def __init__(self, unit: str):
        self._unit = unit
        self._title: Optional[str] = None
        self._bar: Optional[_Drawn] = None

    def show(self, title: str, done: int, total: int, note: str = "") -> None:
        if title != self._title:
            self.close()
            self._title, self._bar = title, open_bar(title, self._unit)
        assert self._bar is not None
        self._bar.update_to(done, total, note)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


@contextlib.contextmanager
def transfer_progress(progress: Union[Bar, TransferProgress]) -> Iterator[TransferProgress]:
    """What an upload or a download calls: the caller's own function, a bar, or nothing."""
    if callable(progress):
        yield progress
    elif not wanted(progress):
        yield lambda name, done, total: None
    else:
        with contextlib.closing(_Bars("B")) as bars:
            yield bars.show


@contextlib.contextmanager
def row_progress(progress: Union[Bar, RowProgress], title: str) -> Iterator[RowProgress]:
    if callable(progress):
        yield progress
    elif not wanted(progress):
        yield lambda done, total: None
    else:
        with contextlib.closing(_Bars("rows")) as bars:
            yield lambda done, total: bars.show(title, done, total)


@contextlib.contextmanager
def step_progress(bar: Bar) -> Iterator[Optional[Callable[[str, int, int, str], None]]]:
    """Yields show(title, steps done, steps in all, note), or None where no bar is wanted."""
    if not wanted(bar):
        yield None
    else:
        with contextlib.closing(_Bars("steps")) as bars:
            yield bars.show
