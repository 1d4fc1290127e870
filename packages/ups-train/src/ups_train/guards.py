"""What training refuses to learn from: numbers that are not finite, and losses that jump."""

from __future__ import annotations

import math
import statistics
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ups_core import TryAgain, UPSError
from ups_core.files import read_json, write_json
from ups_data.batch import FieldBatch
from ups_train.config import SpikesConfig

BATCHES_FILE = "non_finite.json"
"""In the step's directory: what an optimizer step was made of whose loss or gradient was not finite."""
SPIKES_FILE = "spikes.json"
"""In the step's directory: batches that training goes on without."""


class NonFinite(UPSError):
    """The loss or gradient is NaN or infinite; raised before the optimizer sees it."""


class Place(NamedTuple):
    """One batch of a training: the epoch and the number within it."""

    epoch: int
    batch: int


class FiniteGuard:
    """Ends a training before numbers that are not finite reach the weights.

    Args:
        directory: where the offending batches are written down.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        self.batches: list[tuple[Place, str, Tensor, float]] = []

    def loss(self, loss: float, batch: FieldBatch, place: Place, step: int) -> None:
        """Look at the loss of a batch.

        Raises:
            NonFinite: it is not finite.
        """
        self.batches.append((place, batch.task, batch.index, loss))
        if not math.isfinite(loss):
            self._fail(f"the loss is {loss}", step)

    def gradient(self, norm: float, step: int) -> None:
        """Look at the norm of the gradient of all batches since the last look.

        Raises:
            NonFinite: it is not finite.
        """
        if not math.isfinite(norm):
            self._fail(f"the norm of the gradient is {norm}", step)
        self.batches.clear()

    def _fail(self, what: str, step: int) -> None:
        path = self.directory / BATCHES_FILE
        batches = [
            {**place._asdict(), "task": task, "trajectories": sorted(set(index.tolist())), "loss": str(loss)}
            for place, task, index, loss in self.batches
        ]  # the loss as text: JSON has no NaN
        write_json(path, {"what": what, "step": step, "batches": batches})
        last = batches[-1]
        raise NonFinite(
            f"{what} at epoch {last['epoch']}, batch {last['batch']} (task '{last['task']}', trajectories "
            f"{last['trajectories'][:8]}; all in {path.name}); the weights are those of step {step}; lower "
            "optimizer.lr, or check the data with 'ups data inspect'"
        )


class SpikeGuard:
    """Finds losses that jump, and remembers which batches to leave out.

    Args:
        directory: where they are written down, for restarts and for the reader.
    """

    def __init__(self, config: SpikesConfig, directory: Path):
        self.config = config
        self.path = directory / SPIKES_FILE
        self.spikes: list[dict[str, Any]] = read_json(self.path) or []
        self.losses: dict[str, deque[float]] = {}

    def skips(self, task: str, loss: float, place: Place) -> bool:
        """Whether training goes on without this batch.

        Args:
            loss: the batch's mean over all processes.

        Raises:
            TryAgain: training has to go back to its last checkpoint.
            UPSError: the policy is to stop, or there were too many spikes.
        """
        if any((spike["epoch"], spike["batch"]) == place for spike in self.spikes):
            return True
        earlier = self.losses.setdefault(task, deque(maxlen=self.config.window))
        usual = statistics.median(earlier) if len(earlier) == self.config.window else math.inf
        if loss <= self.config.factor * usual:
            earlier.append(loss)
            return False
        self._spike(task, loss, usual, place)
        return True

    def _spike(self, task: str, loss: float, usual: float, place: Place) -> None:
        policy, most = self.config.policy, self.config.most
        what = (
            f"the loss of task '{task}' at epoch {place.epoch}, batch {place.batch} is {loss:.3g}, "
            f"{loss / usual:.0f} times its median"
        )
        if policy == "stop":
            raise UPSError(f"{what}; the weights are those before it; lower optimizer.lr")
        if len(self.spikes) >= most:
            raise UPSError(f"{what}, after {most} spikes already; lower optimizer.lr, or raise spikes.most")
        self.spikes.append({**place._asdict(), "task": task, "loss": loss, "median": usual, "policy": policy})
        write_json(self.path, self.spikes)  # by every process, the same
        if policy == "rollback":
            raise TryAgain(f"{what}: back to the last checkpoint, and on without that batch")

    def state_dict(self) -> dict[str, list[float]]:
        """Recent losses by task."""
        return {task: list(losses) for task, losses in self.losses.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Go on from them."""
        self.losses = {task: deque(losses, maxlen=self.config.window) for task, losses in state.items()}
