"""Reference rows for stochastic simulators: no sampling, and errors drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_models.device import device_of
from ups_models.member_noise import MemberStreams
from ups_models.simulator import Simulator

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.info import TaskInfo
    from ups_data.prepare.opening import TaskData

MAX_ERRORS = 256
"""Maximum number of training trajectories to draw errors from."""
MAX_BYTES = 2**28
"""Maximum memory for the errors of one task."""


class WithoutSampling(Simulator):
    """The prediction of a stochastic simulator without noise or correction.

    Args:
        simulator: its network and normalisers are shared.
    """

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator.network, simulator.tasks, simulator.statistics)
        self.normalisers = simulator.normalisers
        self._inner = (simulator,)  # no submodule: what it samples with does not count

    @property
    def stochastic(self) -> bool:
        """False, whatever the network can do."""
        return False

    def step(self, batch: FieldBatch, noise: Tensor | None = None) -> Tensor:
        """See :class:`Simulator`; that of the simulator, without noise."""
        return self._inner[0].step(batch)


class RandomErrors(WithoutSampling):
    """The prediction without sampling plus its error on a random trajectory of the train split.

    Such members have the right distribution of errors over all starts, but ignore the start: a stochastic
    model must do better.

    Args:
        simulator: as for :class:`WithoutSampling`.
        data: task name -> its data.
        split: the split that will be predicted.
    """

    def __init__(self, simulator: Simulator, data: Mapping[str, TaskData], split: str) -> None:
        super().__init__(simulator)
        self._data = data
        self._split = split
        self._errors: dict[str, Tensor] = {}

    @property
    def stochastic(self) -> bool:
        """True: errors are drawn."""
        return True

    def supports(self, task: TaskInfo) -> bool:
        """Tasks whose train split has the same grid as the predicted split, and at least as many frames."""
        if not super().supports(task):
            return False
        train, other = (self._data[task.name].problem(split) for split in ("train", self._split))
        return train.shape == other.shape and train.frames >= other.frames

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.member_frames`."""
        if batch.task not in self._errors:
            self._errors[batch.task] = self._measure(batch.task)
        errors = self._errors[batch.task]
        draws = torch.special.ndtr(MemberStreams(batch, members, seed).normal(()))
        number = (draws * len(errors)).long().clamp(max=len(errors) - 1).reshape(members, len(batch))
        number = number.to(errors.device)
        for step, frame in enumerate(self.frames(batch, steps)):
            yield frame + errors[number, step].to(frame)

    def _measure(self, task: str) -> Tensor:
        """Errors of training trajectories on the CPU, `(N, T, C, *S)`."""
        windows = self._data[task].trajectories("train")
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0)).tolist()
        errors: list[Tensor] = []
        for index in order[:MAX_ERRORS]:
            batch = windows.batch([index]).to(device_of(self))
            errors.append((batch.target - self.rollout(batch, batch.target.shape[1])).cpu())
            if errors[0].nbytes * (len(errors) + 1) > MAX_BYTES:
                break
        return torch.cat(errors)
