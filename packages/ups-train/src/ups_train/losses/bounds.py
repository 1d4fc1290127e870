"""The loss `bounds`: values that a solution cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_eval.physics_metrics import Problem, below_zero
from ups_train.losses.physics import PhysicsLoss
from ups_train.losses.relative_norm import relative_norm

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
        return bool(problem.info.positive_targets)

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsLoss`."""
        beyond = below_zero(fields, problem.info)
        if self.config.maximum_principle and problem.info.kind == "evolution":
            given, space = batch.state[:, -1:], tuple(range(3, fields.dim()))
            low, high = given.amin(dim=space, keepdim=True), given.amax(dim=space, keepdim=True)
            beyond = torch.maximum(beyond, torch.maximum(low - fields, fields - high))
        squares, sizes = (part.flatten(3).square().mean(dim=3) for part in (beyond, fields.detach()))
        return relative_norm(squares, sizes)
