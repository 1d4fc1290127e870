"""A console that remembers what was said."""

from __future__ import annotations

from ups_core.console import Console


class Listener(Console):
    """Prints nothing; `lines` are the messages."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, message: str, style: str = "") -> None:
        self.lines.append(message)
