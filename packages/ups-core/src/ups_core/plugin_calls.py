"""Calls of plugins' code, which must not end the process: only a signal or the user may.

`sys.exit(0)` in a hook would end a run with the exit code of success.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ups_core.errors import UPSError
from ups_core.interrupts import Interrupted


class PluginExit(UPSError):
    """Code of a plugin raised what ends a process; `__cause__` is the exception."""


@contextmanager
def plugin_call(what: str, *, keyboard: bool = True, bugs: bool = False) -> Iterator[None]:
    """Within, an exception that would end the process is an error for users.

    Args:
        what: the plugin's code, for the message.
        keyboard: whether a KeyboardInterrupt without Ctrl+C is one, too; a step may raise it to stop a run.
        bugs: whether other exceptions are errors for users as well, where no file takes their traceback.

    Raises:
        PluginExit: SystemExit, GeneratorExit or KeyboardInterrupt was raised, but no signal was received.
        UPSError: with `bugs`, any other exception.
    """
    pressed: list[int] = []
    with _watching_ctrl_c(pressed):
        try:
            yield
        except (Interrupted, UPSError):
            raise
        except (SystemExit, GeneratorExit) as error:
            raise PluginExit(f"{what} raised {described(error)}, which must not end the process") from error
        except KeyboardInterrupt as error:
            if pressed or not keyboard:
                raise
            raise PluginExit(f"{what} raised KeyboardInterrupt, which must not end the process") from error
        except Exception as error:
            if not bugs:
                raise
            raise UPSError(f"{what} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """An exception on one line: its type, and its message where it has one."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _watching_ctrl_c(pressed: list[int]) -> Iterator[None]:
    """Note SIGINT where Python's own handler answers it: a plugin's KeyboardInterrupt comes without one."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def note(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is note:  # not if a library has installed its own
            signal.signal(signal.SIGINT, signal.default_int_handler)
