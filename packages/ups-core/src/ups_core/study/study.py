"""A study on disk: `study.json` with every trial, complete at every moment."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from ups_core.errors import UPSError
from ups_core.reading import UnsoundFile, in_form
from ups_core.sealed import read_sealed, write_sealed
from ups_core.study.parameters import read_space
from ups_core.study.space import Range, Space, assignments, set_options

FILE = "study.json"
Status = Literal["running", "completed", "failed", "interrupted"]


@dataclass
class Trial:
    """One set of values and its result.

    Attributes:
        value: the objective; None unless the trial is completed.
        seconds: of the last attempt, with the start of its process.
        message: why it failed.
        directory: its run directory; empty where the values do not make a valid plan.
        fingerprint: of its steps, which includes data and code.
    """

    number: int
    parameters: dict[str, Any]
    status: Status = "running"
    value: float | None = None
    seconds: float = 0.0
    message: str = ""
    directory: str = ""
    fingerprint: str = ""


_TRIALS = TypeAdapter(list[Trial])


def _read(path: Path) -> dict[str, Any]:
    """The content of `study.json`. Raises :class:`UPSError`."""
    if not os.path.lexists(path):
        raise UPSError(f"{path.parent} is not a study directory ({FILE} missing)")
    try:
        return read_sealed(path)
    except UnsoundFile as error:
        raise UnsoundFile(path, f"{error.problem}; start the study again with --fresh") from None


@dataclass
class Study:
    """The trials of one study directory.

    Attributes:
        about: what is searched and how; copied to `study.json`. With `higher_is_better` the largest value is
            the best.
        command: the `ups-run` command to which the best values are added.
    """

    directory: Path
    space: Space
    about: Mapping[str, Any]
    command: Sequence[str]
    trials: list[Trial] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.directory / FILE

    @classmethod
    def read(cls, directory: Path) -> Study:
        """The study on record in a directory.

        Raises:
            UPSError: `study.json` is missing or unreadable.
        """
        stored = _read(directory / FILE)
        try:
            study = cls(directory, read_space(stored["parameters"]), stored, ())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnsoundFile(directory / FILE, f"is not the record of a study ({error!r})") from None
        study.load()
        return study

    def load(self) -> None:
        """Load the trials that are on disk.

        Raises:
            UPSError: `study.json` is damaged.
        """
        if os.path.lexists(self.path):
            trials = _read(self.path).get("trials")
            self.trials = in_form(self.path, _TRIALS.validate_python, trials, "the record of a study")

    def save(self) -> None:
        """Replace `study.json`."""
        write_sealed(self.path, self.to_dict())

    @property
    def higher_is_better(self) -> bool:
        """Whether the largest value is the best."""
        return bool(self.about.get("higher_is_better", False))

    def cost(self, trial: Trial) -> float | None:
        """A trial's value with the sign that makes the lowest one the best; None without a value."""
        return trial.value if trial.value is None or not self.higher_is_better else -trial.value

    @property
    def ranked(self) -> list[Trial]:
        """The best first; trials without a value last, in their order."""
        costs = {trial.number: self.cost(trial) for trial in self.trials}
        return sorted(
            self.trials,
            key=lambda trial: math.inf if (cost := costs[trial.number]) is None else cost,
        )

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value, the first of equal ones."""
        return next((trial for trial in self.ranked if trial.value is not None), None)

    def edges(self) -> list[str]:
        """A line for every range whose best value is at an edge: the optimum may be outside."""
        if self.best is None:
            return []
        found = []
        for parameter in self.space:
            value = self.best.parameters[parameter.key]
            if isinstance(parameter, Range) and (edge := parameter.edge(value)):
                found.append(
                    f"the best {parameter.key}, {value:.4g}, is at the {edge} edge of {parameter.text}; "
                    "widen the range"
                )
        return found

    def use_best(self) -> str | None:
        """The command that runs the complete spec with the best values."""
        if self.best is None:
            return None
        return f"{shlex.join(self.command)} {set_options(assignments(self.best.parameters))}"

    def to_dict(self) -> dict[str, Any]:
        """The content of `study.json`."""
        best = None
        if self.best is not None:
            best = asdict(self.best) | {"command": self.use_best(), "edges": self.edges()}
        return {"schema": 1, **self.about, "best": best, "trials": [asdict(trial) for trial in self.trials]}
