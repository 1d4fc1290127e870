"""`gates.json`: the table of a gate, with every value, bound, interval and verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ups_core.reading import in_form
from ups_core.sealed import read_sealed, write_sealed

FILE = "gates.json"
SCHEMA = 1


@dataclass(frozen=True)
class Judgement:
    """One criterion on one task.

    Attributes:
        label: what is judged: `nrmse of advection1d / fno`.
        value: the number, ratio or difference; None if it is missing.
        low: lower end of its interval; None without one.
        high: upper end.
        bound: what must hold, `at most 0.5`.
        passed: whether it does.
        reason: one line: why it failed, or what the interval covers.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    bound: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True)
class Gates:
    """All criteria of a gate.

    Attributes:
        passed: whether all hold.
        confidence: of the intervals.
        criteria: in the order of the spec, then of the tasks.
    """

    passed: bool
    confidence: float
    criteria: list[Judgement]

    def write(self, directory: Path) -> None:
        """Write `gates.json`."""
        write_sealed(directory / FILE, {"schema": SCHEMA, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> Gates:
        """The content of a file.

        Raises:
            UnsoundFile: it is missing or damaged.
        """
        raw: dict[str, Any] = read_sealed(path)
        raw.pop("schema", None)
        return in_form(path, _ADAPTER.validate_python, raw, "the table of a gate")


_ADAPTER = TypeAdapter(Gates)


def known(value: float) -> float | None:
    """A number of an interval; None for an end that is not known."""
    return value if math.isfinite(value) else None
