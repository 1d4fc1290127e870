"""Penalties of candidates that need no truth: physics that the task declares or its solver knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ups_core import UPSError
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.metrics import ratio
from ups_eval.physics_metrics import Problem, below_zero, drift_of, root_mean_square
from ups_eval.ttc.config import Reward

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch


class Candidates(NamedTuple):
    """M candidates for one frame of B rollouts.

    Attributes:
        fields: `(M, B, C, *S)` in physical units.
        given: the M * B windows that they follow from, first those of candidate 0.
        start: the B windows at which the rollouts start.
        frame: number of the frame in the rollout, from 0.
    """

    fields: Tensor
    given: FieldBatch
    start: FieldBatch
    frame: int


Penalty = Callable[[Candidates], Tensor]
"""Candidates to what the choice minimises, `(M, B)` in float64."""


def known_rewards(problem: Problem) -> list[Reward]:
    """The rewards that a problem has, the most informative first."""
    info, found = problem.info, list[Reward]()
    if isinstance(problem.solver, IterativeSolver):
        found.append("error")
    if problem.solver is not None:
        found.append("residual")
    if info.invariants:
        found.append("invariants")
    if info.positive_targets:
        found.append("bounds")
    return found


def create_penalty(reward: Reward | None, problem: Problem) -> Penalty:
    """The penalty of a reward, or of the first that the problem has.

    Raises:
        UPSError: the problem does not have it.
    """
    known, name = known_rewards(problem), problem.info.name
    if not known:
        raise UPSError(
            f"task '{name}' has no solver, no invariant and no positive channel to choose candidates by; "
            "remove the task or the step ttc"
        )
    if reward is not None and reward not in known:
        raise UPSError(f"task '{name}' has no reward '{reward}'; use {' or '.join(known)}")
    penalties: dict[Reward, Penalty] = {
        "error": lambda candidates: _estimated_error(candidates, problem),
        "residual": lambda candidates: _residual(candidates, problem),
        "invariants": lambda candidates: _drift(candidates, problem),
        "bounds": lambda candidates: _below_zero(candidates, problem),
    }
    return penalties[known[0] if reward is None else reward]


def true_error(candidates: Candidates) -> Tensor:
    """The penalty of an oracle: the nRMSE against the true frame, `(M, B)`."""
    target = candidates.start.target[None, :, candidates.frame].double()
    return _relative(root_mean_square(candidates.fields.double() - target), root_mean_square(target))


def _estimated_error(candidates: Candidates, problem: Problem) -> Tensor:
    """Root mean square of the error that the solver estimates, in units of the field, `(M, B)`."""
    assert isinstance(problem.solver, IterativeSolver)
    found = problem.solver.error(_flat(candidates), Given.of(candidates.given), problem.info)
    return _size(found, candidates)


def _residual(candidates: Candidates, problem: Problem) -> Tensor:
    """Root mean square of the residual, in units of the equation, `(M, B)`."""
    assert problem.solver is not None
    found, _ = problem.solver.residual(_flat(candidates), Given.of(candidates.given), problem.info)
    return _size(found, candidates)


def _drift(candidates: Candidates, problem: Problem) -> Tensor:
    """Drift of what the task conserves since the start of the rollout, relative to its field, `(M, B)`."""
    given = candidates.start.state[None, :, -1].double()
    drifts = [drift_of(name, candidates.fields.double(), given) for name in problem.info.invariants]
    return _relative(torch.stack(drifts).sum(dim=0), root_mean_square(given))


def _below_zero(candidates: Candidates, problem: Problem) -> Tensor:
    """Root mean square of negative parts, `(M, B)`, relative to a size that all candidates share: relative to
    its own size any large enough candidate would be good."""
    fields = candidates.fields.double()
    sizes = root_mean_square(fields)
    sizes = torch.where(sizes.isfinite(), sizes, torch.nan).nanmedian(dim=0, keepdim=True).values
    return _relative(root_mean_square(below_zero(fields, problem.info)), sizes)


def _flat(candidates: Candidates) -> Tensor:
    """Candidates as single frames of samples, `(M * B, 1, C, *S)`, in float64."""
    return candidates.fields.flatten(0, 1)[:, None].double()


def _size(field: Tensor, candidates: Candidates) -> Tensor:
    """Root mean square over channels and space of `(M * B, 1, C, *S)`, as `(M, B)`."""
    return field.flatten(1).square().mean(dim=1).sqrt().reshape(candidates.fields.shape[:2])


def _relative(part: Tensor, scale: Tensor) -> Tensor:
    """Mean over channels of `(M, B, C)` relative to a scale `(1, B, C)`, as `(M, B)`."""
    return ratio(part, scale).mean(dim=2)
