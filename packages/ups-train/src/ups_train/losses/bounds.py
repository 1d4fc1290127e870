"""The loss `bounds`: values that a solution cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_eval.physics_metrics import Problem
from ups_train.losses.constants import EPSILON, TINY
from ups_train.losses.physics import PhysicsLoss

if TYPE_CHECKING:
    from ups_train.losses.config import BoundsConfig


class BoundsLoss(PhysicsLoss):
    """Mean over samples, frames and channels of |what lies beyond the bounds| / |field|, norms over space.

    Below zero in channels that the task declares positive; with `maximum_principle` also beyond the smallest
    and the largest value of the given frame."""

    config: BoundsConfig

    def defined(self, problem: Problem) -> bool:
        """Where a channel is positive; with a maximum principle for every evolution."""
        if self.config.maximum_principle and problem.info.kind == "evolution":
            return True
        return any(channel.positive for channel in problem.info.target_channels)

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsLoss`."""
        shape = (1, 1, -1, *[1] * problem.info.dim)
        positive = [channel.positive for channel in problem.info.target_channels]
        low = torch.tensor([0.0 if given else -torch.inf for given in positive], device=fields.device)
        low = low.to(fields.dtype).reshape(shape)
        high = torch.full_like(low, torch.inf)
        if self.config.maximum_principle and problem.info.kind == "evolution":
            given = batch.state[:, -1:]
            ends = (given.flatten(3).amin(dim=3), given.flatten(3).amax(dim=3))
            first, last = (end.reshape(*end.shape, *[1] * problem.info.dim) for end in ends)
            low, high = torch.maximum(low, first), last
        beyond = (low - fields).clamp(min=0) + (fields - high).clamp(min=0)
        size = fields.detach().flatten(3).square().mean(dim=3) + EPSILON
        return (beyond.flatten(3).square().mean(dim=3) / size).add(TINY).sqrt().mean()
