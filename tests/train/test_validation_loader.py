"""Validation batches: every trajectory counts once, every rank runs equally often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from hypothesis import given
from hypothesis import strategies as st

from toy_tasks import batch_of, evolution
from ups_data.batches.batch import FieldBatch
from ups_data.batches.windows import Windows
from ups_train.engine.validation_loader import ValidationLoader
from ups_train.parallel.ranks import Ranks


class Numbered:
    """Stands in for the trajectories of a split: each is its number."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, numbers: Any) -> FieldBatch:
        numbers = list(numbers)
        assert numbers
        assert all(0 <= number < self.count for number in numbers)
        return replace(batch_of(evolution(self.name), size=len(numbers)), index=torch.tensor(numbers))


def loaders(counts: dict[str, int], batch_size: int, world: int) -> list[ValidationLoader]:
    windows = cast(dict[str, Windows], {name: Numbered(name, count) for name, count in counts.items()})
    return [ValidationLoader(windows, batch_size, Ranks(rank, world)) for rank in range(world)]


@given(a=st.integers(1, 12), b=st.integers(1, 12), batch_size=st.integers(1, 5), world=st.integers(1, 4))
def test_every_trajectory_counts_exactly_once(a: int, b: int, batch_size: int, world: int) -> None:
    counts = {"a": a, "b": b}
    batches = [list(loader) for loader in loaders(counts, batch_size, world)]
    for name, count in counts.items():
        scored = [
            number
            for rank in batches
            for batch in rank
            if batch.task == name and batch.loss_weight == 1.0
            for number in batch.index.tolist()
        ]
        assert sorted(scored) == list(range(count))


@given(a=st.integers(1, 12), b=st.integers(1, 12), batch_size=st.integers(1, 5), world=st.integers(1, 4))
def test_ranks_run_the_same_tasks_equally_often(a: int, b: int, batch_size: int, world: int) -> None:
    several = loaders({"a": a, "b": b}, batch_size, world)
    runs = [[batch.task for batch in loader] for loader in several]
    assert all(run == runs[0] for run in runs)
    assert {len(loader) for loader in several} == {len(runs[0])}
    assert all(1 <= len(batch) <= batch_size for loader in several for batch in loader)


def test_a_rank_without_a_trajectory_repeats_one_that_does_not_count() -> None:
    _, second = loaders({"a": 3}, batch_size=1, world=2)
    weights = [(batch.index.tolist(), batch.loss_weight) for batch in second]
    assert weights == [([1], 1.0), ([2], 0.0)]
