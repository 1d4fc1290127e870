"""The loss `invariants`: the drift of what a task conserves."""

from __future__ import annotations

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_eval.physics_metrics import Problem, drift_of
from ups_train.losses.physics import PhysicsLoss
from ups_train.losses.relative_norm import relative_norm


class InvariantsLoss(PhysicsLoss):
    """Mean of |Q(field) - Q(given)| / root mean square of the given, for every conserved Q.

    Q is the spatial mean (`mean`) or the root mean square (`l2`) of a channel."""

    def defined(self, problem: Problem) -> bool:
        """Where the task declares an invariant."""
        return bool(problem.info.invariants)

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsLoss`."""
        given = batch.state[:, -1:]
        scale = given.flatten(3).square().mean(dim=3)
        drifts = [drift_of(name, fields, given).square() for name in problem.info.invariants]
        return torch.stack([relative_norm(drift, scale) for drift in drifts]).sum()
