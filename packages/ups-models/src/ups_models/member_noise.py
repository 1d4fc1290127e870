"""Random numbers of ensemble members: functions of seed, task, trajectory and member only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_models.noise_config import NoiseConfig


class MemberStreams:
    """A stream of random numbers for every member of every trajectory of a batch.

    Args:
        batch: B trajectories of one task.
        members: M.
        seed: of all streams.
    """

    def __init__(self, batch: FieldBatch, members: int, seed: int) -> None:
        self._device = batch.static.device
        self._generators = [
            torch.Generator().manual_seed(derive_seed(seed, "member", batch.task, trajectory, member))
            for member in range(members)
            for trajectory in batch.index.tolist()
        ]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers `(M * B, *shape)` on the batch's device, first those of member 0."""
        draws = [torch.randn(tuple(shape), generator=generator) for generator in self._generators]
        # Without waiting: a blocking copy would wait for all queued kernels.
        return torch.stack(draws).to(self._device, non_blocking=True)


class MemberNoise:
    """The noise of a network at the steps of a rollout, `(M * B, Z)` each.

    Args:
        config: length of the vectors, and whether a member keeps its own.
        batch: B trajectories of one task.
        members: M.
        seed: of everything.
    """

    def __init__(self, config: NoiseConfig, batch: FieldBatch, members: int, seed: int) -> None:
        self.config = config
        self._streams = MemberStreams(batch, members, seed)
        self._held: Tensor | None = None

    def next(self) -> Tensor:
        """The noise of the next step."""
        if self._held is None or not self.config.hold:
            self._held = self._streams.normal((self.config.channels,))
        return self._held
