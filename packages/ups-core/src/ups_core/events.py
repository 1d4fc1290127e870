"""What the life-cycle hooks are given: one run and one step as watchers see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StepInfo:
    """One step.

    Attributes:
        id: the step's id in the spec.
        uses: name of the registered stage or evaluation.
        status: `running`, `completed`, `failed` or `interrupted`.
        directory: where the step's files are now.
        metrics: `<step id>/<key>` -> value, once completed.
    """

    id: str
    uses: str
    status: str
    directory: Path
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """One run.

    Attributes:
        name: the spec's name.
        fingerprint: of the complete spec.
        status: `running`, `completed`, `stopped` (by a gate), `failed` or `interrupted`.
        directory: the run directory.
    """

    name: str
    fingerprint: str
    status: str
    directory: Path


@dataclass(frozen=True)
class StudyInfo:
    """One study of `ups tune` after all its trials have ended.

    Attributes:
        directory: holds `study.json` with every trial.
        metric: what the study minimises, or maximises where the metric is better when higher.
    """

    directory: Path
    metric: str


@dataclass(frozen=True)
class SeedsInfo:
    """The runs of `ups-run --seeds` after all have ended.

    Attributes:
        directory: for what is written about them together.
        runs: directories of the runs that have all their steps, in the order of the seeds.
    """

    directory: Path
    runs: tuple[Path, ...]
