"""How far a training is: a small file that it rewrites every few seconds, for `ups status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ups_core.files import write_json
from ups_core.reading import UnsoundFile, in_form, load_json

PROGRESS = "progress.json"
"""In the directory of a step that trains; deleted when the training ends."""


class TrainingProgress(BaseModel):
    """The content of :data:`PROGRESS`.

    Attributes:
        step: optimizer steps that are done.
        steps: of the complete training; None where a budget of seconds ends it.
        epoch: counted from 0.
        done: share of the steps, or of the budget.
        seconds_left: at the speed of this process; None before its first step.
        monitor: the metric that selects weights; lower is better.
        best: its lowest value so far; None before the first validation, or where all diverged.
        time: seconds since 1970 when this was written.
    """

    model_config = ConfigDict(frozen=True)

    step: Annotated[int, Field(ge=0)]
    steps: Annotated[int, Field(ge=1)] | None
    epoch: Annotated[int, Field(ge=0)]
    done: Annotated[float, Field(ge=0.0, le=1.0)]
    seconds_left: Annotated[float, Field(ge=0.0)] | None
    monitor: str
    best: float | None
    time: float

    def write(self, directory: Path) -> None:
        """Replace the file of a step's directory."""
        write_json(directory / PROGRESS, self.model_dump())


def read_progress(directory: Path) -> TrainingProgress | None:
    """The progress of a step; None where it does not train, or the file is damaged."""
    path = directory / PROGRESS
    try:
        return in_form(path, TrainingProgress.model_validate, load_json(path), "the progress of a training")
    except UnsoundFile:
        return None
