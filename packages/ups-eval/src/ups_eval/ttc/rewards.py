"""Penalties of candidates that need no truth: physics that the task declares or its solver knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_core import UPSError
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.physics_metrics import MeanDrift, NormDrift, Problem
from ups_eval.ttc.config import Reward

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch

Penalty = Callable[[Tensor, "FieldBatch"], Tensor]
"""Candidates of one frame `(N, C, *S)` in physical units and what they follow from to penalties `(N,)`."""


def known_rewards(problem: Problem) -> list[Reward]:
    """The rewards that a problem has, the most informative first."""
    info, found = problem.info, list[Reward]()
    if isinstance(problem.solver, IterativeSolver):
        found.append("error")
    if problem.solver is not None:
        found.append("residual")
    if info.invariants:
        found.append("invariants")
    if any(channel.positive for channel in info.target_channels):
        found.append("bounds")
    return found


def create_penalty(reward: Reward | None, problem: Problem) -> Penalty:
    """The penalty of a reward, or of the first that the problem has.

    Raises:
        UPSError: the problem does not have it.
    """
    known, name = known_rewards(problem), problem.info.name
    if not known or (reward is not None and reward not in known):
        what = f"no reward '{reward}'" if known else "no reward"
        has = f"; it has {', '.join(known)}" if known else ": no solver, no invariant and no positive channel"
        raise UPSError(f"task '{name}' has {what}{has}")
    penalties: dict[Reward, Penalty] = {
        "error": lambda fields, batch: _estimated_error(fields, batch, problem),
        "residual": lambda fields, batch: _residual(fields, batch, problem),
        "invariants": lambda fields, batch: _drift(fields, batch, problem),
        "bounds": lambda fields, batch: _below_zero(fields, problem),
    }
    return penalties[known[0] if reward is None else reward]


def _estimated_error(fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
    assert isinstance(problem.solver, IterativeSolver)
    found = problem.solver.error(fields[:, None].double(), Given.of(batch), problem.info)
    return _size(found)


def _residual(fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
    assert problem.solver is not None
    found, _ = problem.solver.residual(fields[:, None].double(), Given.of(batch), problem.info)
    return _size(found)


def _drift(fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
    drifts = {"mean": MeanDrift, "l2": NormDrift}
    chosen = [drifts[name]() for name in problem.info.invariants]
    return torch.stack([drift.values(fields[:, None], batch, problem) for drift in chosen]).sum(dim=0)


def _below_zero(fields: Tensor, problem: Problem) -> Tensor:
    rows = [row for row, channel in enumerate(problem.info.target_channels) if channel.positive]
    below = fields[:, rows].double().clamp(max=0)
    scale = fields[:, rows].double().flatten(2).square().mean(dim=2).sqrt().clamp(min=1e-30)
    return (below.flatten(2).square().mean(dim=2).sqrt() / scale).mean(dim=1)


def _size(field: Tensor) -> Tensor:
    """Root mean square of every sample; infinite where it is not finite."""
    return field.flatten(1).square().mean(dim=1).sqrt().nan_to_num(nan=torch.inf)
