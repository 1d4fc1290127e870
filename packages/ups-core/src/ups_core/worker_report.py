"""What worker processes leave for the launcher that started them: a result, or why there is none."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ups_core.finished_step import VerdictRecord
from ups_core.reading import UnsoundFile, in_form, load_json
from ups_core.sealed import read_sealed, write_sealed
from ups_core.step import StepResult

RESULT = "result.json"
"""In a step's directory: what worker processes leave for the launcher when they succeed."""
FAILURE = "failure.json"
"""In a step's directory: why the first worker process that failed did so."""


class Failure(BaseModel):
    """The content of `failure.json`.

    Attributes:
        rank: of the process; None where no rank is to blame.
        attempt: number of the attempt, because torchrun restarts all ranks.
        message: one line for users; None where the launcher knows better.
        stopped: exit code of a process that was asked to stop and did.
        again: whether the ranks have to start again.
    """

    model_config = ConfigDict(frozen=True)

    rank: int | None = None
    attempt: int = 0
    message: str | None = None
    stopped: int | None = None
    again: bool = False


class _Result(BaseModel):
    metrics: dict[str, float | None]
    verdict: VerdictRecord | None = None


def read_failure(directory: Path) -> Failure | None:
    """Why the first rank failed; None if no rank said so, or the file is damaged."""
    path = directory / FAILURE
    try:
        return in_form(path, Failure.model_validate, load_json(path), "the report of a failure")
    except UnsoundFile:
        return None


def write_result(directory: Path, result: StepResult) -> None:
    """Leave the result of a step."""
    write_sealed(directory / RESULT, result.to_dict())


def read_result(directory: Path) -> StepResult:
    """The result of a step. Raises :class:`UnsoundFile`."""
    path = directory / RESULT
    content = in_form(path, _Result.model_validate, read_sealed(path), "the result of a step")
    return StepResult.from_dict(content.model_dump())
