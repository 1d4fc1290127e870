"""One line of what `ups verify` found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ups_core.reading import UnsoundFile

Outcome = Literal["ok", "MISMATCH", "note"]


@dataclass(frozen=True)
class Finding:
    """What was compared and how that ended.

    Attributes:
        what: the file, step or number.
        outcome: `ok`, `MISMATCH`, or `note` for what can be said but not judged.
        detail: of what was compared, or expected and found.
    """

    what: str
    outcome: Outcome
    detail: str = ""


def finding(what: str, check: Callable[[], str]) -> Finding:
    """A check that returns what it compared, or raises :class:`UnsoundFile`."""
    try:
        return Finding(what, "ok", check())
    except UnsoundFile as error:
        return Finding(what, "MISMATCH", str(error))


def guarded(what: str, findings: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Findings up to the first file that cannot be read or contradicts another one, which is one more."""
    try:
        yield from findings()
    except UnsoundFile as error:
        yield Finding(what, "MISMATCH", str(error))
    except (LookupError, TypeError, ValueError) as error:  # sound files whose names or shapes do not fit
        yield Finding(what, "MISMATCH", f"its files contradict each other ({error!r})")
