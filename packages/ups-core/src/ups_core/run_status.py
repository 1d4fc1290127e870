"""How runs are doing, from their directories alone: nothing is locked, and nothing needs to be sound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ups_core.errors import UPSError
from ups_core.layout import partial_directory
from ups_core.lock import in_use
from ups_core.reading import UnsoundFile
from ups_core.run_file import RUN, SPEC, RunFile, RunStep, read_run
from ups_core.training_progress import PROGRESS, TrainingProgress, read_progress

HEADLINE = "nrmse"
"""The metric of an evaluation that is shown; the first one where an evaluation lacks it."""


@dataclass(frozen=True)
class RunStatus:
    """One run directory.

    Attributes:
        directory: the run directory.
        state: `running`, `completed`, `stopped` (by a gate), `failed`, `interrupted`; `killed` where the
            process is gone without a word; `damaged` where the record cannot be read.
        done: number of finished steps.
        steps: number of all steps.
        step: id of the step that runs, failed or was interrupted; empty where there is none.
        training: how far that step is, where it trains.
        best: `<step id>/<metric>` -> the best validation of the newest training.
        scores: `<step id>/<task>/<metric>` -> the headline metric of finished evaluations.
        updated: seconds since 1970 of the last change.
        problem: why the directory cannot be read.
    """

    directory: Path
    state: str
    updated: float
    done: int = 0
    steps: int = 0
    step: str = ""
    training: TrainingProgress | None = None
    best: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Until the training step ends; None where it does not run or nobody knows."""
        training = self.training
        if self.state != "running" or training is None or training.seconds_left is None:
            return None
        return max(0.0, training.seconds_left - (time.time() - training.time))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "name": self.directory.name,
            "directory": str(self.directory),
            "state": self.state,
            "steps": self.steps,
            "steps_done": self.done,
            "step": self.step or None,
            "training": self.training and self.training.model_dump(),
            "seconds_left": self.seconds_left,
            "best": self.best,
            "scores": self.scores,
            "updated": self.updated,
            "problem": self.problem or None,
        }


def run_statuses(folder: Path) -> list[RunStatus]:
    """The runs of a directory of runs, or the one of a run directory; those that changed last come first.

    Raises:
        UPSError: the folder does not exist.
    """
    if not folder.is_dir():
        raise UPSError(f"{folder} is not a directory; name the directory of the runs (default: runs)")
    folders = [folder] if _is_run(folder) else [path for path in folder.iterdir() if _is_run(path)]
    return sorted(map(_status, folders), key=lambda run: (-run.updated, run.directory.name))


def _is_run(folder: Path) -> bool:
    return any(
        (folder / name).exists() or (folder / name).is_symlink() for name in (RUN, SPEC, "events.jsonl")
    )


def _status(directory: Path) -> RunStatus:
    updated = _last_change(directory / RUN, directory / "events.jsonl")
    try:
        record = read_run(directory)
    except UnsoundFile as error:
        return RunStatus(directory, "damaged", updated, problem=f"{error.path.name} {error.problem}")
    gone = record.status == "running" and not in_use(directory)
    unfinished = [step for step in record.steps if step.status in ("running", "failed", "interrupted")]
    step = unfinished[0].id if unfinished else ""
    partial = partial_directory(directory, step) if step else None
    training = read_progress(partial) if partial else None
    if partial:
        updated = _last_change(partial / PROGRESS, default=updated)
    return RunStatus(
        directory,
        "killed" if gone else record.status,
        updated,
        done=sum(step.status == "completed" for step in record.steps),
        steps=len(record.steps),
        step=step,
        training=training,
        best=dict(_best(record, step, training)),
        scores={key: value for done in record.steps for key, value in _scores(done)},
    )


def _last_change(*paths: Path, default: float = 0.0) -> float:
    times = [default]
    for path in paths:
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            continue
    return max(times)


def _best(record: RunFile, step: str, training: TrainingProgress | None) -> Iterator[tuple[str, float]]:
    """The best validation of the training that runs, or else of the one that finished last."""
    if training is not None:
        if training.best is not None:
            yield f"{step}/{training.monitor}", training.best
        return
    for done in reversed(record.steps):
        for key, value in done.metrics.items():
            parts = key.split("/")
            if done.uses.startswith("stage") and len(parts) == 3 and parts[1] == "val" and value is not None:
                yield key, value
                return


def _scores(step: RunStep) -> Iterator[tuple[str, float]]:
    """The headline metric of every task in an evaluation; longer keys are those of baselines."""
    if not step.uses.startswith("evaluate"):
        return
    tasks: dict[str, dict[str, float]] = {}
    for key, value in step.metrics.items():
        parts = key.split("/")
        if len(parts) == 3 and value is not None:
            tasks.setdefault(parts[1], {})[parts[2]] = value
    for task, metrics in tasks.items():
        metric = HEADLINE if HEADLINE in metrics else next(iter(metrics))
        yield f"{step.id}/{task}/{metric}", metrics[metric]
