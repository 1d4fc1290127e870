"""Scores of M predictions of one truth as functions of tensors, for evaluation and for training.

Ensembles are `(M, B, T, C, *S)`, targets `(B, T, C, *S)`. Formulas are those of Gneiting and Raftery,
"Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102 (2007); *fair* estimators (Ferro, "Fair
scores for ensemble forecasts", QJRMS 140 (2014)) have the expectation of an infinite ensemble, so scores of
ensembles of different size may be compared.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pair_weight(members: int, fair: float = 1.0) -> float:
    """Factor of the sum over pairs i < j in the estimators of this module.

    Args:
        members: M, at least 2.
        fair: share of the fair estimator, 1 / (M (M-1)); the rest is the plain one, 1 / M². Below one
            ("almost fair", Lang et al., "AIFS-CRPS", arXiv 2412.15832) a training cannot move single members
            without a penalty.
    """
    return fair / (members * (members - 1)) + (1 - fair) / members**2


def crps(members: Tensor, target: Tensor, fair: float = 1.0) -> Tensor:
    """Continuous ranked probability score of every point, `(M, ...)` and `(...)` to `(...)`.

    mean over i of |x_i - y|, minus the pairs' |x_i - x_j|. One member gives its absolute error.

    Args:
        members: M values of every point.
        target: the truth.
        fair: as for :func:`pair_weight`.
    """
    skill: Tensor = (members - target).abs().mean(dim=0)
    count = len(members)
    if count == 1:
        return skill
    # In the sorted sample the k-th value is added 2k - M - 1 times to the sum of differences, k from 1.
    signs = torch.arange(1 - count, count, 2, device=members.device, dtype=members.dtype)
    pairs: Tensor = torch.tensordot(signs, members.sort(dim=0).values, dims=1)
    score: Tensor = skill - pair_weight(count, fair) * pairs
    return score


def energy_score(members: Tensor, target: Tensor, fair: float = 1.0) -> Tensor:
    """Energy score of every sample, `(M, B, ...)` and `(B, ...)` to `(B,)`.

    mean over i of ‖x_i - y‖, minus the pairs' ‖x_i - x_j‖, with the root mean square over a sample's frames,
    channels and cells as norm. One member gives its RMSE. Unlike the CRPS it sees whether the values of a
    member belong together.

    Args:
        members: M samples.
        target: the truth.
        fair: as for :func:`pair_weight`.
    """
    skill: Tensor = _norm(members - target).mean(dim=0)
    count = len(members)
    if count == 1:
        return skill
    pairs: Tensor = torch.stack([_norm(members[i + 1 :] - members[i]).sum(dim=0) for i in range(count - 1)])
    return skill - pair_weight(count, fair) * pairs.sum(dim=0)


def _norm(x: Tensor) -> Tensor:
    """Root mean square over all but the first two axes, `(M, B, ...)` to `(M, B)`."""
    flat = x.flatten(2)
    # Norm, not root of mean square: its gradient at zero is zero instead of NaN.
    norm: Tensor = torch.linalg.vector_norm(flat, dim=2)
    scaled: Tensor = norm / flat.shape[2] ** 0.5
    return scaled


def ranks(members: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
    """Rank of the truth among the members of every point, 0 to M, `(M, ...)` and `(...)` to `(...)`.

    Truths that equal members get a random one of the possible ranks: a field that is zero somewhere would
    otherwise always fall into the first or the last bin.

    Args:
        members: M values of every point.
        target: the truth.
        generator: of the random ranks, on the CPU.
    """
    below = (members < target).sum(dim=0)
    equal = (members == target).sum(dim=0)
    draws = torch.rand(target.shape, generator=generator, dtype=torch.float64).to(target.device)
    return below + (draws * (equal + 1)).long().clamp(max=equal)


def fewest_members(level: float) -> int:
    """Members that an interval of this level needs: M have a range that covers (M - 1) / (M + 1)."""
    return next(count for count in range(2, 1 << 20) if (count - 1) / (count + 1) >= level - 1e-12)


def covered(members: Tensor, target: Tensor, level: float) -> Tensor:
    """Whether the truth lies in the central interval of this level, `(M, ...)` and `(...)` to `(...)`.

    The interval is between interpolated order statistics, the k-th of M being the quantile k / (M + 1), so
    the interval of an ensemble of the truth's own law covers it with probability `level`. Between quantiles
    (k - 1) / (M - 1), which numpy and torch take by default, it would cover (M - 1) / (M + 1) of that.

    Args:
        members: M values of every point, at least :func:`fewest_members`.
        target: the truth.
        level: between 0 and 1.
    """
    count = len(members)
    if count < fewest_members(level):
        raise ValueError(f"{count} members have no interval of level {level}")
    # Quantile p of the law is at position p (M + 1) - 1 of the sorted members, of M - 1: torch's convention.
    low, high = (((1 + sign * level) / 2 * (count + 1) - 1) / (count - 1) for sign in (-1, 1))
    positions = torch.tensor([low, high], dtype=members.dtype, device=members.device).clamp(0, 1)
    below, above = torch.quantile(members, positions, dim=0)
    inside: Tensor = (below <= target) & (target <= above)
    return inside
