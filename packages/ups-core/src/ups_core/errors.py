"""Errors that a user reads: one line each, naming the value and the way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 100


def shown(text: str) -> str:
    """Text that a user wrote, at a length that a message can hold."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def printable(text: str) -> str:
    """Text in one line: a name may hold a line break, a terminal's colours or a space of no width."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def foreign(text: str) -> str:
    """A remark about the first character that is not ASCII, which may look like another one; or ""."""
    name = next((unicodedata.name(c, f"U+{ord(c):04X}") for c in text if not c.isascii()), None)
    return f" (it holds {name})" if name else ""


class UPSError(Exception):
    """Something that the user can mend; printed as one line, without a traceback."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Issue:
    """One mistake in a spec and where it stands.

    `line` and `column` count from one; zero means that the value has no place in a file (`--set`).
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
    """Every mistake found in a spec, sorted by place; the command line exits with code 2."""

    exit_code = 2

    def __init__(self, issues: Sequence[Issue]):
        self.issues = tuple(sorted(issues))
        super().__init__("\n".join(str(issue) for issue in self.issues))


class TryAgain(UPSError):
    """A step that did not end, and that has prepared to be started again."""


class UsageError(UPSError):
    """A command that cannot be carried out as typed; the command line exits with code 2."""

    exit_code = 2
