"""Error metrics with exact aggregation: the number does not depend on how samples were batched.

Formulas are those of PDEBench (Takamoto et al., "PDEBench: An Extensive Benchmark for Scientific Machine
Learning", arXiv 2210.07182) and of The Well (VRMSE; Ohana et al., "The Well: a Large-Scale Collection of
Diverse Physics Simulations for Machine Learning", arXiv 2412.00568). PDEBench averages per-batch values, so
its cRMSE, maximum and fRMSE change with the batch size; here the states are sums over samples, which give the
value of the formula for one batch with the complete set, on one process or on many.

Every metric takes `(prediction, target)`, both `(B, T, C, *S)` in physical units with 1 to 3 spatial axes.
They contain *predicted* frames only: given frames are never scored. Sums are in float64.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from ups_core import UPSError
from ups_core.base_configs import MetricConfig
from ups_eval.trajectory_statistics import Reduction

VRMSE_EPSILON = 1e-7
"""Added to the variance by The Well's VMSE."""


def as_pair(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64 `(B, T, C, *S)`.

    Raises:
        UPSError: the shapes differ, or are not batch, frames, channels and one to three spatial axes.
    """
    if prediction.shape != target.shape:
        raise UPSError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape; "
            "both must be (B, T, C, *S)"
        )
    if not 4 <= target.ndim <= 6:
        raise UPSError(f"cannot score shape {tuple(target.shape)}; expected (B, T, C, *S), 1 to 3 axes S")
    return prediction.double(), target.double()


def mean_over_space(field: Tensor) -> Tensor:
    """`(B, T, C, *S)` to `(B, T, C)`."""
    return field.flatten(3).mean(dim=3)


def ratio(error: Tensor, scale: Tensor) -> Tensor:
    """`error / scale`; a scale of zero gives infinity, or zero if the error is zero too.

    A target that is zero everywhere has no scale. PDEBench then yields NaN for a perfect prediction; the
    limit of the ratio is more useful in a mean.
    """
    return torch.where(error == 0, 0.0, error / scale)


def rmse_per_frame(prediction: Tensor, target: Tensor) -> Tensor:
    """Root mean square error over space, `(B, T, C)`."""
    prediction, target = as_pair(prediction, target)
    return mean_over_space((prediction - target) ** 2).sqrt()


def nrmse_per_channel(prediction: Tensor, target: Tensor) -> Tensor:
    """PDEBench's nRMSE of each sample, frame and channel, `(B, T, C)`."""
    prediction, target = as_pair(prediction, target)
    scale = mean_over_space(target**2).sqrt()
    return ratio(rmse_per_frame(prediction, target), scale)


def nrmse_per_frame(prediction: Tensor, target: Tensor) -> Tensor:
    """nRMSE of each sample and frame, mean over channels, `(B, T)`.

    Its mean over `T` is a sample's nRMSE, its mean over `B` the error curve over a rollout.
    """
    return nrmse_per_channel(prediction, target).mean(dim=2)


class TrajectoryMetric(Metric):
    """A metric that follows from values of single trajectories, so that `ups verify` can compute it again.

    A subclass says what the values are and, as `reduction`, how the metric follows from them. As a metric of
    torchmetrics it accumulates them in constant memory.

    Args:
        config: metrics have no options.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    reduction: ClassVar[Reduction]

    def __init__(self, config: MetricConfig | None = None) -> None:
        super().__init__()

    @abstractmethod
    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Values of every trajectory, `(B, ...)` in float64, of predictions and targets `(B, T, C, *S)`."""


class Summed(TrajectoryMetric):
    """Sums the values; `compute` of a subclass turns the sum into the metric.

    Args:
        config: metrics have no options.
    """

    total: Tensor
    count: Tensor

    def __init__(self, config: MetricConfig | None = None) -> None:
        super().__init__(config)
        # Scalars that the first update broadcasts: the number of frames and channels is not known yet.
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add samples `(B, T, C, *S)`."""
        # Not in place: torchmetrics resets a state to its default, which must stay zero.
        self.total = self.total + self.values(prediction, target).sum(dim=0)
        self.count = self.count + target.shape[0]


class SampleMean(Summed):
    """Mean over samples of a value per sample `(B,)`."""

    reduction = "mean"

    def compute(self) -> Tensor:
        """The mean over all samples; NaN if there were none."""
        return self.total / self.count


class RootOfSampleMean(Summed):
    """Root over samples first, then mean: mean over t,c,k of sqrt(mean over b of a square `(B, T, C, K)`).

    The sums keep the shape `(T, C, K)`, so `T` and `C` must be the same in every update, and under DDP every
    rank must have seen a sample.
    """

    reduction = "root_mean"

    def compute(self) -> Tensor:
        """The metric over all samples; NaN if there were none or the band is empty."""
        return (self.total / self.count).sqrt().mean()


class RMSE(SampleMean):
    """mean over b,t,c of sqrt(mean over cells of e²)."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        return rmse_per_frame(prediction, target).mean(dim=(1, 2))


class NRMSE(SampleMean):
    """mean over b,t,c of sqrt(mean over cells of e²) / sqrt(mean over cells of target²).

    For a target that is zero see :func:`ratio`.
    """

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        return nrmse_per_frame(prediction, target).mean(dim=1)


class BRMSE(SampleMean):
    """RMSE over boundary cells.

    1-D: sqrt((e_first² + e_last²) / 2); 2-D: sqrt(Σ over the four edges of e² / (2 nx + 2 ny)), corners
    counted twice. In 3-D the same over the six faces; PDEBench flattens channels into cells there.
    """

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        prediction, target = as_pair(prediction, target)
        squares = (prediction - target) ** 2
        faces = [squares.select(axis, end) for axis in range(3, squares.ndim) for end in (0, -1)]
        cells = torch.cat([face.reshape(*squares.shape[:3], -1) for face in faces], dim=3)
        return cells.mean(dim=3).sqrt().mean(dim=(1, 2))


class RelativeL2(SampleMean):
    """mean over b of ‖e‖₂ / ‖target‖₂, norms over all frames, channels and cells at once."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        prediction, target = as_pair(prediction, target)
        error = torch.linalg.vector_norm((prediction - target).flatten(1), dim=1)
        return ratio(error, torch.linalg.vector_norm(target.flatten(1), dim=1))


class VRMSE(SampleMean):
    """mean over b,t,c of sqrt(mean over cells of e² / (var(target) + 1e-7)), var unbiased (The Well).

    A field that is constant in space has almost no variance, so its errors are amplified up to 3000-fold.
    """

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        prediction, target = as_pair(prediction, target)
        variance = target.flatten(3).var(dim=3, unbiased=True)
        return (
            (mean_over_space((prediction - target) ** 2) / (variance + VRMSE_EPSILON)).sqrt().mean(dim=(1, 2))
        )


class CRMSE(RootOfSampleMean):
    """mean over t,c of sqrt(mean over b of (Σ prediction - Σ target)²) / cells: the error of the sum."""

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B, T, C, 1)`."""
        prediction, target = as_pair(prediction, target)
        return mean_over_space(prediction - target).square().unsqueeze(3)


class MaxError(TrajectoryMetric):
    """mean over t,c of the largest |e| in any sample and cell.

    Args:
        config: metrics have no options.
    """

    reduction = "max"

    largest: Tensor

    def __init__(self, config: MetricConfig | None = None) -> None:
        super().__init__(config)
        self.add_state("largest", torch.tensor(-math.inf, dtype=torch.float64), dist_reduce_fx="max")

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B, T, C)`."""
        prediction, target = as_pair(prediction, target)
        return (prediction - target).abs().flatten(3).amax(dim=3)

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add samples `(B, T, C, *S)`."""
        # Starts at -infinity and grows to `(T, C)`; compute() turns what was never updated into NaN.
        self.largest = torch.maximum(self.largest, self.values(prediction, target).amax(dim=0))

    def compute(self) -> Tensor:
        """The metric over all samples; NaN if there were none."""
        return torch.where(self.largest >= 0, self.largest, math.nan).mean()
