"""Intervals and paired comparisons: coverage, exactness in cases whose answer is known, and equal models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_eval.bootstrap import FEWEST, Sample, compare, estimate, seed_spread_of
from ups_eval.trajectory_statistics import Reduction, reduce_draws, reduce_values

REDUCTIONS: dict[Reduction, tuple[int, ...]] = {
    "mean": (3,), "root_mean": (4, 2, 3), "max": (4, 2), "ratio": (4, 1, 2), "log_ratio": (4, 1, 5, 2),
    "flatness": (6,),
}  # fmt: skip


def sample(values: np.ndarray) -> Sample:
    return Sample(values, "mean", tuple(range(len(values))))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(seed=st.integers(0, 1000))
def test_every_trajectory_once_is_the_metric_itself(reduction: Reduction, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.random((7, *REDUCTIONS[reduction]))
    once = np.full((1, 7), 1 / 7)
    assert reduce_draws(values, reduction, once)[0] == pytest.approx(
        reduce_values(values, reduction), rel=1e-12
    )
    twice = np.array([[2, 1, 0, 1, 1, 1, 1]]) / 7
    drawn = values[[0, 0, 1, 3, 4, 5, 6]]
    assert reduce_draws(values, reduction, twice)[0] == pytest.approx(
        reduce_values(drawn, reduction), rel=1e-12
    )


def test_means_in_pieces_are_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((6, 11, 3, 2))
    weights = np.random.default_rng(1).dirichlet(np.ones(6), 9)
    at_once = [reduce_draws(values, name, weights) for name in ("root_mean", "ratio", "log_ratio")]
    monkeypatch.setattr("ups_eval.trajectory_statistics.PIECE", 9 * 5)
    in_pieces = [reduce_draws(values, name, weights) for name in ("root_mean", "ratio", "log_ratio")]
    np.testing.assert_allclose(in_pieces, at_once, rtol=1e-12)


@given(factor=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_a_model_that_is_worse_by_a_factor_everywhere_is_so_exactly(factor: float, seed: int) -> None:
    """What makes a trajectory hard cancels: the interval has no width."""
    errors = np.random.default_rng(seed).lognormal(size=20)
    found = compare([sample(factor * errors)], [sample(errors)])
    assert (found.value, found.low, found.high) == pytest.approx((factor,) * 3)


@pytest.mark.parametrize("count", [FEWEST, 12, 60])
def test_the_interval_of_a_mean_covers_it(count: int) -> None:
    """300 samples of skewed errors: at least 85 % of 95 % intervals cover, as of a t-interval."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        found = estimate([sample(random.lognormal(0, 0.5, count))])
        covered += found.low <= math.exp(0.125) <= found.high
    assert covered / 300 >= 0.85


@pytest.mark.parametrize("count", [FEWEST, 16, 100])
def test_of_200_pairs_of_equal_models_at_most_8_percent_look_better(count: int) -> None:
    """Equal models err equally on average, on trajectories of very different difficulty."""
    random = np.random.default_rng(1)
    better = 0
    for _ in range(200):
        difficulty = random.lognormal(0, 1, count)
        one, other = difficulty * random.lognormal(0, 0.3, (2, count))
        better += compare([sample(one)], [sample(other)]).high < 1
    assert better <= 16


def test_of_200_pairs_of_seeds_at_most_8_percent_look_better() -> None:
    """Two seeds of one training differ on all trajectories; the assumed spread between seeds covers that."""
    random = np.random.default_rng(2)
    better = without = 0
    for _ in range(200):
        difficulty = random.lognormal(0, 1, 100)
        one, other = difficulty * random.lognormal(0, 0.1, (2, 100)) * random.lognormal(0, 0.05, (2, 1))
        better += compare([sample(one)], [sample(other)], seed_spread=0.05).high < 1
        without += compare([sample(one)], [sample(other)]).high < 1
    assert better <= 16
    assert without > 40  # trajectories alone do not tell


def test_measured_seeds_replace_the_assumption() -> None:
    random = np.random.default_rng(3)
    better = 0
    for _ in range(200):
        difficulty = random.lognormal(0, 1, 50)
        arms = [
            [sample(difficulty * random.lognormal(0, 0.1, 50) * random.lognormal(0, 0.05)) for _ in range(3)]
            for _ in range(2)
        ]
        assert seed_spread_of(arms)[1] == 4
        better += compare(*arms).high < 1
    assert better <= 16


def test_a_real_improvement_is_seen() -> None:
    errors = np.random.default_rng(4).lognormal(size=100)
    found = compare([sample(0.7 * errors)], [sample(errors)], seed_spread=0.05)
    assert found.high < 1


def test_trajectories_that_start_alike_count_once() -> None:
    errors = np.random.default_rng(5).lognormal(size=8)
    repeated = Sample(np.repeat(errors, 50), "mean", tuple(np.repeat(range(8), 50).tolist()))
    single, many = estimate([sample(errors)]), estimate([repeated])
    assert (many.low, many.high) == pytest.approx((single.low, single.high))


def test_few_trajectories_have_no_interval_but_their_frames_have() -> None:
    values = np.random.default_rng(6).lognormal(size=(2, 64))
    assert not estimate([sample(values)]).known
    found = estimate([Sample(values, "mean", (0, 1), per_frame=True)])
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(values.mean())


def test_a_diverged_model_has_no_interval() -> None:
    errors = np.ones(10)
    errors[3] = math.inf
    found = compare([sample(errors)], [sample(np.ones(10))])
    assert found.value == math.inf
    assert not found.known


def test_other_trajectories_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same trajectories"):
        compare([sample(np.ones(6))], [Sample(np.ones(6), "mean", tuple(range(1, 7)))])
