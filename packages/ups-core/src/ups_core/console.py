"""Messages and progress for users: rich on a terminal, plain lines elsewhere, nothing in JSON mode."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console as RichConsole
from rich.markup import escape

from ups_core.errors import printable

LOG_WIDTH = 120
"""Columns of a table in a file or pipe, which has no width of its own; fewer would break names."""


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, count: int = 1, /) -> None: ...


class Console:
    """Messages and progress bars on standard error, so that standard output stays for results."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.redact: Callable[[str], str] = str
        """Applied to every message, once a spec that refers to the environment is known."""
        # soft_wrap: without it rich would break lines at the width of the terminal, within paths.
        self.rich = RichConsole(file=sys.stderr, soft_wrap=True, highlight=False, quiet=quiet)
        if not self.rich.is_terminal:
            self.rich.width = LOG_WIDTH

    @property
    def interactive(self) -> bool:
        """Whether a user watches a terminal."""
        return self.rich.is_terminal and not self.quiet

    def say(self, message: str, style: str = "") -> None:
        """Print one line; `message` is taken literally, control characters as their escapes."""
        self.rich.print(escape(printable(self.redact(message))), style=style)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """A progress bar on a terminal; elsewhere a line at the start, every 10 s, and at the end."""
        if self.interactive:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            bar = Progress(*columns, console=self.rich, transient=True)
            with bar:
                task = bar.add_task(escape(what), total=total)
                yield lambda count=1: bar.advance(task, count)
            return
        begin = last = time.monotonic()
        done = 0

        def advance(count: int = 1, /) -> None:
            nonlocal done, last
            done += count
            if time.monotonic() - last >= 10:
                last = time.monotonic()
                self.say(f"{what}: {done}/{total} after {last - begin:.0f} s")

        yield advance
        if done:
            self.say(f"{what}: {done} done in {time.monotonic() - begin:.1f} s")
