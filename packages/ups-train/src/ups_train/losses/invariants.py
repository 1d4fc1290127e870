"""The loss `invariants`: the drift of what a task conserves."""

from __future__ import annotations

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_eval.physics_metrics import Problem
from ups_train.losses.constants import EPSILON, TINY
from ups_train.losses.physics import PhysicsLoss


class InvariantsLoss(PhysicsLoss):
    """Mean of |Q(field) - Q(given)| / root mean square of the given, for every conserved Q.

    Q is the spatial mean (`mean`) or the root mean square (`l2`) of a channel."""

    def defined(self, problem: Problem) -> bool:
        """Where the task declares an invariant."""
        return bool(problem.info.invariants)

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsLoss`."""
        given = batch.state[:, -1:]
        scale = given.flatten(3).square().mean(dim=3) + EPSILON
        drifts = []
        for name in problem.info.invariants:
            before, after = (_quantity(name, field) for field in (given, fields))
            drifts.append(((after - before).square() / scale).add(TINY).sqrt().mean())
        return torch.stack(drifts).sum()


def _quantity(name: str, field: Tensor) -> Tensor:
    """`(B, T, C)`."""
    flat = field.flatten(3)
    if name == "mean":
        return flat.mean(dim=3)
    return (flat.square().mean(dim=3) + EPSILON**2).sqrt()
