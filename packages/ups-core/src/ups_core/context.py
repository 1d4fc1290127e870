"""What a running step may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ups_core.console import Console
from ups_core.spec import PipelineSpec
from ups_core.task import TaskProvider

PROFILE = "UPS_PROFILE"
"""Environment variable that `--profile` sets, so that training stages in worker processes see it too."""


@dataclass(frozen=True)
class StepContext:
    """All that a step may use. It writes below `directory` only, which is renamed when it succeeds.

    Attributes:
        spec: the complete resolved spec.
        step_id: this step's id; metric keys start with it.
        directory: where to write; holds what an interrupted earlier attempt left.
        run_directory: the run; read-only for a step. An `index.html` that a step leaves in its own directory
            becomes the run's `report/index.html`.
        data_root: where data files are.
        tasks: task name -> what the task component created.
        console: progress bars and messages.
        inputs: artifact kind -> directory of the step that produced it (the newest one).
        artifacts: artifact kind -> step id -> directory, for every earlier step that produced one (the id of
            a baseline's step is its model's name with `-` for `/`).
        fingerprint: this step's fingerprint, for saved models.
        redact: replaces values of `${env:NAME}` by the references, for text that the step shows or writes.
        baselines: ids of the earlier steps that trained what some step compares with.
    """

    spec: PipelineSpec
    step_id: str
    directory: Path
    run_directory: Path
    data_root: Path
    tasks: Mapping[str, TaskProvider]
    console: Console
    inputs: Mapping[str, Path] = field(default_factory=dict)
    artifacts: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    fingerprint: str = ""
    baselines: frozenset[str] = frozenset()
    redact: Callable[[str], str] = str
