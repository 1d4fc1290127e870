"""Errors that a user reads: one line each, naming the value and the way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 100


def truncated(text: str) -> str:
    """Text that a user wrote, cut to a length that a message can hold."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def printable(text: str) -> str:
    """Text on one line: names may contain line breaks, terminal colours or zero-width spaces."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def non_ascii_hint(text: str) -> str:
    """Names the first non-ASCII character, which may look like an ASCII one; "" if there is none."""
    name = next((unicodedata.name(c, f"U+{ord(c):04X}") for c in text if not c.isascii()), None)
    return f" (it contains {name})" if name else ""


class UPSError(Exception):
    """A user-facing error, printed as one line without a traceback."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Issue:
    """One mistake in a spec and its position.

    `line` and `column` count from one; zero means that the value is not in a file (`--set`).
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        line = f"{place} {self.path}: {self.message}" if self.path else f"{place} {self.message}"
        return printable(line)

    def to_dict(self) -> dict[str, str | int]:
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "message": self.message,
        }


class SpecError(UPSError):
    """Every mistake found in a spec, sorted by position; the command line exits with code 2."""

    exit_code = 2

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(sorted(issues))
        super().__init__("\n".join(str(issue) for issue in self.issues))


class RestartRequested(UPSError):
    """A step stopped before its end and must be started again; it has saved what the restart needs."""


class UsageError(UPSError):
    """A command that is wrong as typed; the command line exits with code 2."""

    exit_code = 2
