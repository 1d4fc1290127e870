"""How a run is asked to stop: by a signal or by its time limit; and when it does.

Most work stops at once, for nothing half done is ever taken for whole. Training is worth a moment: within
:func:`patience` the first request is only noted, and the training ends at the next batch with a checkpoint.
A second signal ends it at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

OUT_OF_TIME = 75
"""Exit code after `trainer.max_time`: what sysexits.h calls a temporary failure, worth trying again."""
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
"""What asks a run to stop."""


class Interrupted(SystemExit):
    """The run was asked to stop, and the same command goes on; `code` is the process's exit code.

    Args:
        code: 128 + the signal's number, or :data:`OUT_OF_TIME`.
    """

    code: int

    def __init__(self, code: int):
        super().__init__(code)

    def __str__(self) -> str:
        what = "out of time" if self.code == OUT_OF_TIME else signal.Signals(self.code - 128).name
        return f"interrupted ({what}); the same command continues"


class _State:
    """Of this process: signals come to a process, not to an object."""

    def __init__(self) -> None:
        self.patient = 0
        self.code = 0
        self.deadline = float("inf")


_state = _State()


@contextmanager
def listening(max_time: float | None = None) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into :class:`Interrupted`; end after `max_time` seconds.

    In a thread that is not the main one only the time counts: handlers belong to whoever runs the main one.
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
        except ValueError:
            pass


def hear(number: signal.Signals) -> None:
    """Let one more signal ask for the end."""
    if number not in SIGNALS:
        SIGNALS.append(number)


def handle_signals() -> None:
    """Make the handlers ours (again): Lightning puts its own in front when a training begins."""
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # a job in the background ignores Ctrl+C
                signal.signal(number, _handle)
    except ValueError:  # not the main thread
        pass


@contextmanager
def patience() -> Iterator[None]:
    """Within, the first signal is noted for :func:`requested`; the second one raises."""
    _state.patient += 1
    try:
        yield
    finally:
        _state.patient -= 1


def requested() -> int:
    """The exit code of the end that was asked for, or 0."""
    if not _state.code and time.monotonic() >= _state.deadline:
        return OUT_OF_TIME
    return _state.code


def check() -> None:
    """Stop here if that was asked for.

    Raises:
        Interrupted: it was.
    """
    code = requested()
    if code:
        raise Interrupted(code)


def _handle(number: int, frame: object) -> None:
    if _state.patient and not _state.code:
        _state.code = 128 + number
        name = signal.Signals(number).name
        line = f"{name}: stopping with a checkpoint after this batch; once more to stop at once\n"
        os.write(2, line.encode())  # `print` might be what the signal interrupted
        return
    raise Interrupted(128 + number)
