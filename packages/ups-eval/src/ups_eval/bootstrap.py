"""Intervals of metrics and of paired differences, by bootstrap over trajectories.

Trajectories that start alike are drawn together, and a model and its reference see the same draws, so that
what makes a trajectory hard for both cancels. Ends of intervals are expanded percentiles (Hesterberg, "What
Teachers Should Know About the Bootstrap", The American Statistician 69 (2015)), because plain ones are too
narrow for few trajectories. Below :data:`FEWEST` independent trajectories, blocks of frames are drawn instead
where the error of every frame is known; otherwise the interval is unknown.

Training with another seed gives another model, which trajectories do not tell: a spread between seeds is
assumed, and corrected by what several seeds of a model show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, stdtrit

from ups_eval.trajectory_statistics import Reduction, Values, reduce_draws, reduce_values

DRAWS = 2000
"""Resamples of every interval."""
FEWEST = 5
"""Fewest independent trajectories of an interval; with fewer, too few different resamples exist."""
CONFIDENCE = 0.95
SEED_SPREAD = 0.05
"""Relative standard deviation of a score between seeds that is assumed where it has not been measured; those
of published PDE operators reach 0.11."""
PRIOR = 4
"""Degrees of freedom that the assumed spread counts as where there are seeds to measure it."""

Comparison = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Sample:
    """What trajectories contribute to one metric of one trained model.

    Attributes:
        values: `(n, ...)`, as in `statistics.npz`.
        reduction: how the metric follows from them.
        trajectories: group of every trajectory `(n,)`; equal numbers start alike.
        per_frame: whether `values` is `(n, T)` with one value per frame.
    """

    values: Values
    reduction: Reduction
    trajectories: tuple[int, ...]
    per_frame: bool = False

    @property
    def value(self) -> float:
        """The metric."""
        return reduce_values(self.values, self.reduction)

    def in_blocks(self) -> Sample:
        """Blocks of frames as trajectories of their own, where there are too few of these.

        Blocks have about the square root of the number of frames, so that neighbours depend on each other
        little and there are several of them.
        """
        count, frames = len(set(self.trajectories)), self.values.shape[1] if self.per_frame else 0
        length = math.ceil(math.sqrt(frames))
        if count >= FEWEST or frames < 4:
            return self
        blocks = [self.values[:, at : at + length].mean(axis=1) for at in range(0, frames, length)]
        return Sample(np.concatenate(blocks), "mean", tuple(range(len(blocks) * len(self.values))))


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: of all trajectories.
        low: lower end of the interval; minus infinity where there are too few trajectories for one.
        high: upper end; infinity likewise.
    """

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def estimate(samples: Sequence[Sample], *, confidence: float = CONFIDENCE) -> Estimate:
    """The metric of a model, mean over its seeds, with an interval over trajectories.

    Args:
        samples: one per seed, of the same trajectories.
        confidence: of the interval, between 0 and 1.
    """
    samples = [sample.in_blocks() for sample in samples]
    value = float(np.mean([sample.value for sample in samples]))
    return _interval(value, _draws(samples, _weights(samples[0])), samples[0], confidence)


def compare(
    model: Sequence[Sample],
    reference: Sequence[Sample],
    how: Comparison = "ratio",
    *,
    confidence: float = CONFIDENCE,
    seed_spread: float | None = 0.0,
    trained_reference: bool = True,
) -> Estimate:
    """A model's metric against that of a reference on the same trajectories: below one, or zero, is smaller.

    Args:
        model: one sample per seed. reference: likewise. how: ratio or difference. confidence: of the
            interval, between 0 and 1. seed_spread: assumed relative standard deviation of the metric between
            seeds; 0 for only what the given
            seeds say, None to compare these trained models and no other seeds of them.
        trained_reference: false for a reference that no seed changes.

    Raises:
        ValueError: the samples are of different trajectories.
    """
    arms = [[sample.in_blocks() for sample in arm] for arm in (model, reference)]
    if len({sample.trajectories for arm in arms for sample in arm}) > 1:
        raise ValueError("a paired comparison needs the same trajectories")
    weights = _weights(arms[0][0])
    random = np.random.default_rng(1)
    ours, theirs = (_draws(arm, weights) for arm in arms)
    if seed_spread is not None:
        ours *= _seed_factor(arms[0], arms, seed_spread, random)
    if seed_spread is not None and trained_reference:
        theirs *= _seed_factor(arms[1], arms, seed_spread, random)
    values = [float(np.mean([sample.value for sample in arm])) for arm in arms]
    with np.errstate(divide="ignore", invalid="ignore"):
        if how == "ratio":
            value, draws = float(np.divide(values[0], values[1])), ours / theirs
        else:
            value, draws = values[0] - values[1], ours - theirs
    return _interval(value, draws, arms[0][0], confidence)


def seed_spread_of(arms: Sequence[Sequence[Sample]]) -> tuple[float, int]:
    """Relative standard deviation of a metric between seeds, pooled over arms, and its degrees of freedom."""
    squares, freedom = 0.0, 0
    for arm in arms:
        values = np.array([sample.value for sample in arm])
        if len(values) > 1 and values.mean() != 0:
            squares += float(((values / values.mean() - 1) ** 2).sum())
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def _seed_factor(
    arm: Sequence[Sample],
    arms: Sequence[Sequence[Sample]],
    assumed: float,
    random: np.random.Generator,
) -> Values:
    """Factors by which the mean of an arm's seeds may be off, `(DRAWS,)`.

    The variance between seeds is measured and assumed in one: the assumption counts as :data:`PRIOR` seeds,
    so that two seeds that happen to agree do not look like certainty."""
    spread, freedom = seed_spread_of(arms)
    prior = PRIOR if assumed else 0
    if not freedom + prior:
        return np.ones(DRAWS)
    pooled = math.sqrt((freedom * spread**2 + prior * assumed**2) / (freedom + prior))
    noise = random.standard_t(freedom + prior, DRAWS) if freedom else random.standard_normal(DRAWS)
    factor: Values = np.exp(pooled / math.sqrt(len(arm)) * noise)
    return factor


def _weights(sample: Sample) -> Values:
    """Weights of the trajectories in every resample, `(DRAWS, n)`; rows add up to one."""
    groups, membership = np.unique(np.asarray(sample.trajectories), return_inverse=True)
    # The seed is fixed: the same files always give the same interval.
    random = np.random.default_rng(0)
    counts = random.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=DRAWS)
    weights: Values = counts[:, membership].astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _draws(samples: Sequence[Sample], weights: Values) -> Values:
    """The metric in every resample, mean over seeds, `(DRAWS,)`."""
    draws = [reduce_draws(sample.values, sample.reduction, weights) for sample in samples]
    mean: Values = np.mean(draws, axis=0)
    return mean


def _interval(value: float, draws: Values, sample: Sample, confidence: float) -> Estimate:
    count = len(set(sample.trajectories))
    if count < FEWEST or not np.isfinite(draws).all() or not math.isfinite(value):
        return Estimate(value, -math.inf, math.inf)
    tail = float(ndtr(stdtrit(count - 1, (1 - confidence) / 2) * math.sqrt(count / (count - 1))))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
