"""Splits are disjoint, complete, stable, and free of repeated trajectories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import UPSError
from ups_data.prepare.splits import SPLITS, Splits, audit_splits, divide, exclude_repeats

FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}


@given(st.integers(10, 400), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_sound_for_any_count(count: int, val: float, test: float) -> None:
    splits = Splits(**divide(range(count), {"train": 1 - val - test, "val": val, "test": test}))
    audit_splits(splits, count)
    assert abs(len(splits.val) - count * val) <= 0.5 or len(splits.val) == 1
    assert Splits.from_dict(splits.to_dict()) == splits


def test_frozen_for_ever() -> None:
    splits = Splits(**divide(range(20), FRACTIONS))
    assert (splits.test, splits.val) == ((10, 16), (4, 14))


def test_growing_data_keep_most_of_the_test_split() -> None:
    small, large = Splits(**divide(range(1000), FRACTIONS)), Splits(**divide(range(1100), FRACTIONS))
    assert len(set(small.test) & set(large.test)) > 85


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (Splits((0, 1), (1,), (2,)), "trajectory 1 is in two splits: train and val"),
        (Splits((0,), (1,), (2,)), "trajectory 3 is in no split"),
        (Splits((0, 1, 4), (2,), (3,)), "trajectory 4 is in no split of 4 trajectories, or does not exist"),
        (Splits((0, 1, 2, 3), (), (4,)), "the val split of 4 trajectories is empty"),
    ],
)
def test_audit_finds(splits: Splits, message: str) -> None:
    with pytest.raises(UPSError, match=message):
        audit_splits(splits, 4)


def hashes(count: int, **repeats: int) -> list[bytes]:
    content = [str(number).encode() for number in range(count)]
    for number, other in repeats.items():
        content[int(number[1:])] = content[other]
    return content


def test_few_repeats_across_splits_are_left_out() -> None:
    splits = Splits(**divide(range(100), FRACTIONS))
    a, b = splits.train[-1], splits.test[0]
    first, second = sorted((a, b))
    cleaned = exclude_repeats(
        splits, list(zip(hashes(100), hashes(100, **{f"n{second}": first}), strict=True))
    )
    assert cleaned.excluded == {second: first}
    assert all(second not in cleaned[split] for split in SPLITS)
    audit_splits(cleaned, 100)


def test_repeats_within_a_split_stay() -> None:
    splits = Splits(**divide(range(100), FRACTIONS))
    same = hashes(100, **{f"n{splits.train[9]}": splits.train[3]})
    assert exclude_repeats(splits, [[start] for start in same]) == splits


def test_many_repeats_are_refused_by_name() -> None:
    splits = Splits(**divide(range(20), FRACTIONS))
    content = hashes(20)
    content[10] = content[16] = content[4] = content[14] = content[0]
    with pytest.raises(UPSError, match=r"4 of 20 .* 0 \(train\) = 4 \(val\), 0 \(train\) = 10 \(test\)"):
        exclude_repeats(splits, [[start] for start in content])


def test_unknown_split() -> None:
    with pytest.raises(UPSError, match="unknown split 'valid'; splits: train, val, test"):
        Splits(**divide(range(20), FRACTIONS))["valid"]
