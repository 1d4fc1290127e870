"""Guards of training: non-finite numbers and loss spikes never reach the weights."""

from __future__ import annotations

import math
import os
import statistics
from collections import deque
from pathlib import Path
from typing import Any

from ups_core import RestartRequested, UPSError
from ups_core.files import write_json
from ups_core.reading import UnsoundFile
from ups_core.sealed import read_sealed, write_sealed
from ups_train.engine.config import SpikesConfig
from ups_train.engine.step_report import MicroBatch, Place, StepReport

BATCHES_FILE = "non_finite.json"
"""In the step's directory: the micro-batches of an optimizer step with a non-finite loss or gradient."""
SPIKES_FILE = "spikes.json"
"""In the step's directory: skipped batches."""


class NonFinite(UPSError):
    """A loss or gradient is NaN or infinite; raised before the optimizer uses it."""


def check_losses(report: StepReport, step: int, directory: Path) -> None:
    """Fail the step if a loss is not finite, before the update.

    Args:
        step: number of optimizer steps so far.
        directory: where the offending batches are recorded.

    Raises:
        NonFinite: a loss is not finite.
    """
    for part in report.micro_batches:
        if not math.isfinite(part.loss):
            _fail(f"the loss is {part.loss}", part, report, step, directory)


def check_norm(report: StepReport, step: int, directory: Path) -> None:
    """Fail the step if the gradient is not finite, before the update; arguments as above.

    Raises:
        NonFinite: the norm of the gradient is not finite.
    """
    if not math.isfinite(report.norm):
        _fail(f"the norm of the gradient is {report.norm}", report.micro_batches[-1], report, step, directory)


def _fail(problem: str, bad: MicroBatch, report: StepReport, step: int, directory: Path) -> None:
    write_json(
        directory / BATCHES_FILE,
        {"what": problem, "step": step, "batches": [_described(part) for part in report.micro_batches]},
    )
    trajectories = sorted(set(bad.index.tolist()))
    raise NonFinite(
        f"{problem} at epoch {bad.place.epoch}, batch {bad.place.batch} (task '{bad.task}', trajectories "
        f"{trajectories[:8]}; all batches of the step in {BATCHES_FILE}); the weights are those of step "
        f"{step}; lower optimizer.lr, or check the data with 'ups data inspect'"
    )


def _described(part: MicroBatch) -> dict[str, Any]:
    """A micro-batch as plain data; the loss as text, because JSON has no NaN."""
    trajectories = sorted(set(part.index.tolist()))
    return {**part.place._asdict(), "task": part.task, "trajectories": trajectories, "loss": str(part.loss)}


class SpikeGuard:
    """Detects loss spikes, and remembers the batches to skip.

    Args:
        directory: where they are recorded, for restarts and for the user.
    """

    def __init__(self, config: SpikesConfig, directory: Path) -> None:
        self.config = config
        self.path = directory / SPIKES_FILE
        self.spikes = _recorded(self.path)
        self.losses: dict[str, deque[float]] = {}

    def skips(self, task: str, loss: float, place: Place) -> bool:
        """Whether training skips this batch.

        Args:
            loss: the batch's mean over all ranks.

        Raises:
            RestartRequested: training has to return to its last checkpoint.
            UPSError: the policy is `stop`, or there were too many spikes.
        """
        if any((spike["epoch"], spike["batch"]) == place for spike in self.spikes):
            return True
        recent = self.losses.setdefault(task, deque(maxlen=self.config.window))
        usual = statistics.median(recent) if len(recent) == self.config.window else math.inf
        if loss <= self.config.factor * usual:
            recent.append(loss)
            return False
        self._spike(task, loss, usual, place)
        return True

    def _spike(self, task: str, loss: float, usual: float, place: Place) -> None:
        policy, max_spikes = self.config.policy, self.config.max_spikes
        what = (
            f"the loss of task '{task}' at epoch {place.epoch}, batch {place.batch} is {loss:.3g}, "
            f"{loss / usual:.0f} times its median"
        )
        if policy == "stop":
            raise UPSError(f"{what}; the weights are those before that batch; lower optimizer.lr")
        if len(self.spikes) >= max_spikes:
            raise UPSError(
                f"{what}, after {max_spikes} spikes already; lower optimizer.lr, or raise spikes.max_spikes"
            )
        self.spikes.append({**place._asdict(), "task": task, "loss": loss, "median": usual, "policy": policy})
        write_sealed(self.path, {"spikes": self.spikes})  # every rank writes the same
        if policy == "rollback":
            raise RestartRequested(f"{what}: back to the last checkpoint, continuing without that batch")

    def state_dict(self) -> dict[str, list[float]]:
        """Recent losses by task."""
        return {task: list(losses) for task, losses in self.losses.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Resume with these losses."""
        self.losses = {task: deque(losses, maxlen=self.config.window) for task, losses in state.items()}


def _recorded(path: Path) -> list[dict[str, Any]]:
    """The spikes on record.

    Raises:
        UnsoundFile: the record is damaged; without it training would not skip what it has skipped before.
    """
    if not os.path.lexists(path):
        return []
    try:
        spikes: list[dict[str, Any]] = read_sealed(path)["spikes"]
    except UnsoundFile as error:
        way_out = f"delete {path.parent} to start this step from scratch"
        raise UnsoundFile(path, f"{error.problem}; {way_out}") from None
    return spikes
