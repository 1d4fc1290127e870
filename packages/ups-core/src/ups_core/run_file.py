"""`run.json` as readers see it: the sealed record of a run, with every value checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ups_core.finished_step import VerdictRecord
from ups_core.names import STEP
from ups_core.reading import UnsoundFile, in_form
from ups_core.sealed import read_sealed
from ups_core.sums import sum_of

RUN = "run.json"
SPEC = "spec.yaml"


class RunStep(BaseModel):
    """One step of a run, done or not."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: Annotated[str, StringConstraints(pattern=STEP)]
    uses: str
    status: Literal["pending", "running", "completed", "failed", "interrupted"]
    fingerprint: str
    seconds: float
    metrics: dict[str, float | None]
    verdict: VerdictRecord | None
    details: dict[str, Any]


class RunFile(BaseModel):
    """The record of a run.

    Attributes:
        spec: SHA-256 of `spec.yaml`.
        metrics: those of all completed steps; None where not finite.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    schema_version: Literal[1] = Field(alias="schema")
    name: str
    fingerprint: str
    spec: str
    status: Literal["running", "completed", "stopped", "failed", "interrupted"]
    started: str
    finished: str | None
    seconds: float
    command: list[str]
    environment: dict[str, Any]
    data: dict[str, dict[str, Any]]
    steps: list[RunStep]
    metrics: dict[str, float | None]


def check_spec(run: Path, expected: object) -> None:
    """Compare `spec.yaml` of a run directory with its noted SHA-256. Raises :class:`UnsoundFile`."""
    if (found := sum_of(run / SPEC)) != expected:
        raise UnsoundFile.changed(run / SPEC, expected, found)


def read_run(directory: Path) -> RunFile:
    """The record of a run directory.

    Raises:
        UnsoundFile: `run.json` is missing or damaged.
    """
    path = directory / RUN
    if not path.exists() and not path.is_symlink():
        raise UnsoundFile(directory, f"is not a run directory ({RUN} missing)")
    try:
        return in_form(path, RunFile.model_validate, read_sealed(path), "the record of a run")
    except UnsoundFile as error:
        raise UnsoundFile(path, f"{error.problem}; rerun its ups-run command to write it again") from None
