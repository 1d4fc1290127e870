"""Stop requests: a signal or the time limit asks a run to stop.

Most work stops at once, because an unfinished step is never taken for a complete one. Training saves first:
within :func:`patience` the first request is only recorded, and training stops after the current batch with a
checkpoint. A second signal stops it at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

OUT_OF_TIME = 75
"""Exit code after `trainer.max_time`: EX_TEMPFAIL of sysexits.h, a temporary failure worth another try."""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
"""Signals that are stop requests."""


class Interrupted(SystemExit):
    """The run was asked to stop; the same command resumes it. `code` is the exit code of the process.

    Args:
        code: 128 + the signal's number, or :data:`OUT_OF_TIME`.
    """

    code: int

    def __init__(self, code: int) -> None:
        super().__init__(code)

    def __str__(self) -> str:
        what = "out of time" if self.code == OUT_OF_TIME else signal.Signals(self.code - 128).name
        return f"interrupted ({what}); rerun the same command to resume"


class _State:
    """State of this process: signals are sent to a process, not to an object."""

    def __init__(self) -> None:
        self.patient = 0
        self.stop_code = 0
        self.deadline = float("inf")


_state = _State()


@contextmanager
def listening(max_time: float | None = None) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into :class:`Interrupted`; stop after `max_time` seconds.

    Outside the main thread only the time limit works: Python runs signal handlers in the main thread only.
    """
    global _state
    outer, _state = _state, _State()
    if max_time is not None:
        _state.deadline = time.monotonic() + max_time
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        handle_signals()
        yield
    finally:
        _state = outer
        try:
            for number, handler in before.items():
                signal.signal(number, handler)
        except ValueError:  # not the main thread, where nothing was installed either
            pass


def on_signal(number: signal.Signals) -> None:
    """Treat one more signal as a stop request."""
    if number not in SIGNALS:
        SIGNALS.append(number)


def handle_signals() -> None:
    """Install the handlers; call it again after a library has replaced them, as Lightning does."""
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # a background job of a shell ignores Ctrl+C
                signal.signal(number, _handle)
    except ValueError:  # not the main thread
        pass


@contextmanager
def patience() -> Iterator[None]:
    """Within, the first signal is only recorded, for :func:`requested`; the second one raises."""
    _state.patient += 1
    try:
        yield
    finally:
        _state.patient -= 1


def requested() -> int:
    """The exit code of the stop that was requested, or 0."""
    if not _state.stop_code and time.monotonic() >= _state.deadline:
        return OUT_OF_TIME
    return _state.stop_code


def check() -> None:
    """Stop here if a stop was requested.

    Raises:
        Interrupted: it was.
    """
    code = requested()
    if code:
        raise Interrupted(code)


def _handle(number: int, frame: object) -> None:
    if _state.patient and not _state.stop_code:
        _state.stop_code = 128 + number
        name = signal.Signals(number).name
        line = f"{name}: stopping with a checkpoint after this batch; repeat the signal to stop at once\n"
        # Not `print`: the signal may have interrupted one, and its buffer is not reentrant.
        os.write(2, line.encode())
        return
    raise Interrupted(128 + number)
