"""Scores of ensembles as metrics: how sharp and how honest the members of a stochastic simulator are.

They take `(members, target)`, `(M, B, T, C, *S)` and `(B, T, C, *S)` in physical units. The scores themselves
are in :mod:`ups_eval.ensemble_scores`, with their sources.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from ups_core.base_configs import MetricConfig
from ups_eval.ensemble_scores import covered, crps, energy_score, fewest_members, ranks
from ups_eval.metrics import TrajectoryMetric, as_pair, mean_over_space
from ups_eval.spectral import power_spectrum
from ups_eval.trajectory_statistics import reduce_values

FAINT = 1e-6
"""Share of a sample's largest power below which a wave counts as none."""


class EnsembleMetric(TrajectoryMetric):
    """A metric of all members. Single predictions, such as those of a baseline, are ensembles of one.

    Args:
        config: metrics have no options.
    """

    fewest: ClassVar[int] = 1
    """Smallest ensemble that it is defined for."""
    ideal: ClassVar[float | None] = None
    """Its value for samples of the true distribution; None where lower is better."""
    seen: list[Tensor] | Tensor

    def __init__(self, config: MetricConfig | None = None) -> None:
        super().__init__(config)
        self.add_state("seen", [], dist_reduce_fx="cat")

    def update(self, members: Tensor, target: Tensor) -> None:
        """Add samples."""
        assert isinstance(self.seen, list)
        self.seen.append(self.values(members, target))

    def compute(self) -> Tensor:
        """The metric over all samples; NaN if there were none."""
        if not len(self.seen):
            return torch.tensor(math.nan)
        value = reduce_values(dim_zero_cat(self.seen).cpu().numpy(), self.reduction)
        return torch.tensor(value, dtype=torch.float64)


def as_ensemble(members: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64. Raises UPSError as :func:`ups_eval.metrics.as_pair`."""
    return members.double(), as_pair(members[0], target)[1]


class CRPS(EnsembleMetric):
    """Fair continuous ranked probability score, mean over b,t,c,cells; of one member the mean |e|."""

    reduction = "mean"

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        return crps(*as_ensemble(members, target)).flatten(1).mean(dim=1)


class EnergyScore(EnsembleMetric):
    """Fair energy score of complete rollouts, mean over b; one prediction's root mean square error."""

    reduction = "mean"

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        return energy_score(*as_ensemble(members, target))


class SpreadSkill(EnsembleMetric):
    """mean over t,c of sqrt((M + 1) / M · mean variance of the members) / RMSE of their mean; 1 is honest.

    The factor (Fortin et al., "Why Should Ensemble Spread Match the RMSE of the Ensemble Mean?", J.
    Hydrometeorology 15 (2014)) is what the mean of M members errs more than that of infinitely many.
    """

    reduction = "ratio"
    fewest = 2
    ideal = 1.0

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Mean squares of spread and error per sample, `(B, T, C, 2)`."""
        members, target = as_ensemble(members, target)
        spread = (len(members) + 1) / len(members) * members.var(dim=0, unbiased=True)
        error = (members.mean(dim=0) - target).square()
        return torch.stack([mean_over_space(spread), mean_over_space(error)], dim=3)


class RankHistogram(EnsembleMetric):
    """How far the ranks of the truth among the members are from equally frequent: reduced chi-square.

    n · K · Σ (share of rank k - 1 / K)² / (K - 1) for n samples and K = M + 1 ranks (Hamill, "Interpretation
    of Rank Histograms for Verifying Ensemble Forecasts", Monthly Weather Review 129 (2001)). About 1 if every
    sample has one independent point, and less where points average out: well above 1 is not flat.
    """

    reduction = "flatness"
    fewest = 2

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Share of every rank per sample, `(B, M + 1)`."""
        members, target = as_ensemble(members, target)
        # The same draws for every sample: a sample's ranks must not depend on its batch.
        found = ranks(members, target, torch.Generator().manual_seed(0)).flatten(1)
        counts = torch.stack([(found == rank).sum(dim=1) for rank in range(len(members) + 1)], dim=1)
        return counts.double() / found.shape[1]


class Coverage(EnsembleMetric):
    """Share of points inside the members' central interval, corrected for M; honest is its level."""

    reduction = "mean"
    level: ClassVar[float]

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B,)`."""
        members, target = as_ensemble(members, target)
        return covered(members, target, self.level).double().flatten(1).mean(dim=1)


class Coverage50(Coverage):
    """Coverage of the central interval of 50 %."""

    level = ideal = 0.5
    fewest = fewest_members(0.5)


class Coverage90(Coverage):
    """Coverage of the central interval of 90 %."""

    level = ideal = 0.9
    fewest = fewest_members(0.9)


class SpectrumError(EnsembleMetric):
    """mean over t,c,k ≥ 1 of |log10(mean power of the members / mean power of the truth)|.

    Means over samples first: it tells whether structure of every size has the right strength, wherever it is.
    The mean of an uncertain truth is smooth, so a model that predicts it errs here. To both powers 1e-6 of
    the sample's largest one is added, so that what is weaker than a thousandth of the largest wave does not
    count."""

    reduction = "log_ratio"

    def values(self, members: Tensor, target: Tensor) -> Tensor:
        """Power of members and truth per sample, `(B, T, C, K, 2)` with the wavenumbers from 1 to K."""
        members, target = as_ensemble(members, target)
        found = torch.stack([power_spectrum(member) for member in members]).mean(dim=0)
        powers = torch.stack([found, power_spectrum(target)], dim=4)[..., 1:, :]
        floor = FAINT * powers[..., 1].amax(dim=3)
        return powers + floor[..., None, None]
