"""Running moments and statistics: exact merging, constants, plain data."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ups_data.prepare.statistics import ChannelStatistics, Moments, Statistics, statistics_of

PIECES = st.lists(st.lists(st.floats(-100, 100), max_size=6), min_size=1, max_size=6)


def moments(*pieces: NDArray[np.floating]) -> Moments:
    found = Moments()
    for piece in pieces:
        found.add(piece)
    return found


@given(pieces=PIECES)
def test_pieces_give_the_moments_of_their_union(pieces: list[list[float]]) -> None:
    arrays = [np.array(piece) for piece in pieces]
    union = np.concatenate(arrays)
    found = moments(*arrays)
    assert found.count == union.size
    if union.size:
        assert found.mean == pytest.approx(union.mean(), abs=1e-9)
        assert found.std == pytest.approx(union.std(), abs=1e-7)


@given(pieces=PIECES)
def test_the_order_of_pieces_does_not_matter(pieces: list[list[float]]) -> None:
    arrays = [np.array(piece) for piece in pieces]
    forward, backward = moments(*arrays), moments(*reversed(arrays))
    assert forward.count == backward.count
    assert forward.mean == pytest.approx(backward.mean, abs=1e-9)
    assert forward.std == pytest.approx(backward.std, abs=1e-7)


def test_a_small_spread_on_a_large_mean_keeps_its_digits() -> None:
    """Sums of squares would lose all of them; the fields come as float32."""
    rng = np.random.default_rng(0)
    values = (1e6 + rng.normal(0, 1, 100_000)).astype(np.float64)
    found = moments(*np.split(values, 10))
    assert found.std == pytest.approx(values.std(), rel=1e-9)
    single = moments(*np.split(values.astype(np.float32), 10))
    assert single.std == pytest.approx(values.std(), rel=1e-2)


def test_shapes_do_not_matter() -> None:
    values = np.arange(24.0)
    assert moments(values.reshape(2, 3, 4)) == moments(values)


def test_nothing_at_all() -> None:
    empty = moments(np.zeros((0, 5)))
    assert (empty.count, empty.mean, empty.std) == (0, 0.0, 0.0)
    assert statistics_of([]) == ChannelStatistics()


@pytest.mark.parametrize("value", [0.0, 1.0, -3e7, 1e-20])
def test_a_constant_is_scaled_by_one(value: float) -> None:
    found = moments(np.full(1000, value, dtype=np.float32))
    assert found.constant
    assert found.scale == 1.0
    assert statistics_of([found]).mean == (pytest.approx(value, rel=1e-6),)


def test_a_real_spread_is_no_constant() -> None:
    found = moments(np.array([1.0, 1.0 + 1e-5]))
    assert not found.constant
    assert found.scale == found.std > 0
    around_zero = moments(np.array([-1e-25, 1e-25]))
    assert not around_zero.constant, "small numbers are numbers"


def test_statistics_survive_json() -> None:
    one, two = ChannelStatistics((0.1,), (0.2,)), ChannelStatistics((1.5, -2.5), (3.0, math.pi))
    for statistics in (
        Statistics(),
        Statistics(state=two, target=two, delta=(0.1, 0.2)),
        Statistics(static=one, target=two),
    ):
        assert Statistics.from_dict(json.loads(json.dumps(statistics.to_dict()))) == statistics


@pytest.mark.parametrize("missing", ["state", "static", "target", "delta"])
def test_incomplete_statistics_are_noticed(missing: str) -> None:
    plain = Statistics().to_dict()
    del plain[missing]
    with pytest.raises(KeyError, match=missing):
        Statistics.from_dict(plain)
