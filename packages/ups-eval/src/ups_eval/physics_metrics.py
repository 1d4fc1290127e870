"""Physics metrics: properties of predicted fields that a true solution has, whatever its error.

They see fields `(B, T, C, *S)` in physical units and what was given. The true solution has a value of its
own, from discretisation and from the file's solver, which is reported beside the model's."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from ups_core.base_configs import MetricConfig
from ups_data.info import Invariant, TaskInfo
from ups_data.solvers.base import ClassicalSolver, Given
from ups_eval.metrics import ratio
from ups_eval.trajectory_statistics import Reduction, reduce_values

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch


class Problem(NamedTuple):
    """What is known of the scored fields.

    Attributes:
        info: the task, with the grid of the fields.
        solver: a classical solver of its equation; None where the task has none.
    """

    info: TaskInfo
    solver: ClassicalSolver | None = None


class PhysicsMetric(Metric):
    """A metric of fields alone, mean over samples; a subclass gives the value of every sample.

    Args:
        config: metrics have no options.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    reduction: ClassVar[Reduction] = "mean"
    of_mean: ClassVar[bool] = False
    """Whether the mean of an ensemble's members is scored, instead of each of them."""
    seen: list[Tensor] | Tensor

    def __init__(self, config: MetricConfig | None = None) -> None:
        super().__init__()
        self.add_state("seen", [], dist_reduce_fx="cat")

    @abstractmethod
    def defined(self, problem: Problem) -> bool:
        """Whether a solution of the task has this property."""

    @abstractmethod
    def values(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """The value of every sample `(B,)` in float64."""

    def update(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> None:
        """Add samples."""
        assert isinstance(self.seen, list)
        self.seen.append(self.values(fields, batch, problem))

    def compute(self) -> Tensor:
        """The mean over all samples; NaN if there were none."""
        if not len(self.seen):
            return torch.tensor(math.nan)
        value = reduce_values(dim_zero_cat(self.seen).cpu().numpy(), self.reduction)
        return torch.tensor(value, dtype=torch.float64)


def spatial_mean(field: Tensor) -> Tensor:
    """`(B, T, C, *S)` to `(B, T, C)`."""
    return field.flatten(3).mean(dim=3)


def root_mean_square(field: Tensor) -> Tensor:
    """`(B, T, C, *S)` to `(B, T, C)`; for a field of zeros with the gradient zero."""
    squares = field.flatten(3).square().mean(dim=3)
    # The slope of a root is infinite at zero, and infinity times the zero of the square's slope is NaN.
    zero = squares == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, squares).sqrt())


QUANTITIES: Mapping[Invariant, Callable[[Tensor], Tensor]] = {"mean": spatial_mean, "l2": root_mean_square}
"""Invariant -> its value in every frame and channel, `(B, T, C, *S)` to `(B, T, C)`."""


def drift_of(invariant: Invariant, fields: Tensor, given: Tensor) -> Tensor:
    """|Q(field) - Q(given)| of a conserved quantity Q, of fields `(B, T, C, *S)` and a given frame
    `(B, 1, C, *S)`, `(B, T, C)`."""
    quantity = QUANTITIES[invariant]
    return (quantity(fields) - quantity(given)).abs()


def below_zero(fields: Tensor, info: TaskInfo) -> Tensor:
    """How far cells of positive channels are below zero, `(B, T, C, *S)`; zero in other channels."""
    parts = [
        -part.clamp(max=0) if channel.positive else torch.zeros_like(part)
        for channel, part in zip(info.target_channels, fields.unbind(dim=2), strict=True)
    ]
    return torch.stack(parts, dim=2)


class Drift(PhysicsMetric):
    """mean over t,c of |Q(field) - Q(given)| / root mean square of the given, for a conserved quantity Q."""

    invariant: ClassVar[Invariant]

    def defined(self, problem: Problem) -> bool:
        """Where the task declares the invariant."""
        return self.invariant in problem.info.invariants

    def values(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsMetric`."""
        given = batch.state[:, -1:].to(fields.device).double()
        drift = drift_of(self.invariant, fields.double(), given)
        return ratio(drift, root_mean_square(given)).mean(dim=(1, 2))


class MeanDrift(Drift):
    """Drift of the spatial mean."""

    invariant = "mean"


class NormDrift(Drift):
    """Drift of the root mean square, the L2 norm per cell."""

    invariant = "l2"


class NegativeShare(PhysicsMetric):
    """Share of cells below zero in channels that cannot be negative (a density, a concentration)."""

    def defined(self, problem: Problem) -> bool:
        """Where the task declares a positive channel."""
        return bool(problem.info.positive_targets)

    def values(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsMetric`."""
        negative = below_zero(fields, problem.info) > 0
        return negative[:, :, list(problem.info.positive_targets)].double().flatten(1).mean(dim=1)


class ErrorRate(PhysicsMetric):
    """Share of cells that are nearer to another one of the values that a channel can have (materials).

    The error rate of Huang et al., "DiffusionPDE", arXiv 2406.17763, for two values."""

    of_mean = True

    def defined(self, problem: Problem) -> bool:
        """Where the task declares the values of a channel."""
        return any(channel.values for channel in problem.info.target_channels)

    def values(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsMetric`."""
        target = batch.target.to(fields.device)
        wrong = [
            _nearest(fields[:, :, row], channel.values) != _nearest(target[:, :, row], channel.values)
            for row, channel in enumerate(problem.info.target_channels)
            if channel.values
        ]
        return torch.stack(wrong, dim=1).double().flatten(1).mean(dim=1)


class Residual(PhysicsMetric):
    """mean over t,c of |residual| / |scale|, root mean squares over cells.

    :meth:`ups_data.solvers.base.ClassicalSolver.residual` says what they are: of an evolution, how far a
    frame is from the solution that starts at the frame before, against how much that changes. Infinite where
    the solver cannot start from a predicted frame.
    """

    def defined(self, problem: Problem) -> bool:
        """Where the task has a solver of its equation."""
        return problem.solver is not None

    def values(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsMetric`."""
        assert problem.solver is not None
        device = fields.device
        given = Given(*(part.to(device) for part in Given.of(batch)))
        found, scale = problem.solver.residual(fields.double(), given, problem.info)
        values: Tensor = ratio(root_mean_square(found), root_mean_square(scale)).mean(dim=(1, 2))
        return values.nan_to_num(nan=math.inf, posinf=math.inf)


def _nearest(field: Tensor, values: tuple[float, ...]) -> Tensor:
    """Number of the value that is nearest to every cell."""
    known = torch.tensor(values, dtype=torch.float64, device=field.device)
    return (field.double()[..., None] - known).abs().argmin(dim=-1)
