"""The sampler is a pure function of (seed, epoch, position) that treats tasks, samples and ranks fairly."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ups_core import UPSError
from ups_data.batches.sampler import MultiTaskBatchSampler

WORLDS = st.integers(1, 4)
SIZES = st.lists(st.integers(4, 90), min_size=1, max_size=4).map(
    lambda ns: {f"t{i}": n for i, n in enumerate(ns)}
)
TEMPERATURES = st.sampled_from([0.0, 0.3, 0.5, 1.0])


def ranks(sizes: dict[str, int], batch: int, world: int, epoch: int = 0, **options: Any) -> list[list[Any]]:
    """All batches of an epoch, for each rank."""
    samplers = [
        MultiTaskBatchSampler(sizes, batch, rank=rank, world=world, **options) for rank in range(world)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


@given(SIZES, st.integers(1, 9), WORLDS, st.integers(0, 5), st.integers(0, 99))
def test_every_sample_once_per_epoch(
    sizes: dict[str, int], batch: int, world: int, epoch: int, seed: int
) -> None:
    drawn: dict[str, list[int]] = {task: [] for task in sizes}
    for task, indices, _ in chain(*ranks(sizes, batch, world, epoch, seed=seed)):
        drawn[task] += indices
    assert {task: sorted(indices) for task, indices in drawn.items()} == {
        task: list(range(n)) for task, n in sizes.items()
    }


@given(SIZES, st.integers(1, 9), WORLDS, st.integers(0, 5), TEMPERATURES)
def test_ranks_share_each_step_fairly(
    sizes: dict[str, int], batch: int, world: int, epoch: int, temperature: float
) -> None:
    for step in zip(*ranks(sizes, batch, world, epoch, temperature=temperature), strict=True):
        assert len({task for task, _, _ in step}) == 1
        counts = [len(indices) for _, indices, _ in step]
        assert {size for _, _, size in step} == {sum(counts)}
        assert min(counts) >= 1
        assert max(counts) - min(counts) <= 1
        assert max(counts) <= batch + 1
        together = list(chain(*(indices for _, indices, _ in step)))
        assert len(set(together)) == len(together)


@given(SIZES, st.integers(1, 9), WORLDS, TEMPERATURES)
def test_every_prefix_is_within_one_of_its_share(
    sizes: dict[str, int], batch: int, world: int, temperature: float
) -> None:
    sampler = MultiTaskBatchSampler(sizes, batch, temperature, world=world)
    assert sum(sampler.counts.values()) == len(sampler) == len(sampler.schedule)
    assert min(sampler.counts.values()) >= 1
    seen: Counter[str] = Counter()
    for step, task in enumerate(sampler.schedule, 1):
        seen[task] += 1
        assert all(abs(seen[t] - step * c / len(sampler)) < 1 for t, c in sampler.counts.items())


@given(SIZES, st.integers(1, 9), WORLDS, TEMPERATURES, st.data())
def test_resuming_gives_the_same_tail(
    sizes: dict[str, int], batch: int, world: int, temperature: float, data: st.DataObject
) -> None:
    def make() -> MultiTaskBatchSampler:
        return MultiTaskBatchSampler(sizes, batch, temperature, seed=3, rank=world - 1, world=world)

    sampler = make()
    sampler.set_epoch(2)
    whole = list(sampler)
    stop = data.draw(st.integers(0, len(whole)))
    running = iter(sampler)
    head = [next(running) for _ in range(stop)]
    state = sampler.state_dict() if stop else make().state_dict() | {"epoch": 2}
    resumed = make()
    resumed.load_state_dict(state)
    resumed.set_epoch(2)
    assert head + list(resumed) == whole
    assert list(resumed) == whole


@settings(max_examples=40)
@given(SIZES, st.integers(1, 9), WORLDS, TEMPERATURES, st.integers(0, 99))
def test_a_task_is_drawn_in_whole_permutations_across_epochs(
    sizes: dict[str, int], batch: int, world: int, temperature: float, seed: int
) -> None:
    drawn: dict[str, list[int]] = {task: [] for task in sizes}
    for epoch in range(6):
        for step in zip(*ranks(sizes, batch, world, epoch, temperature=temperature, seed=seed), strict=True):
            for task, indices, _ in step:
                drawn[task] += indices
    for task, n in sizes.items():
        laps = [drawn[task][start : start + n] for start in range(0, len(drawn[task]), n)]
        assert all(sorted(lap) == list(range(n)) for lap in laps[:-1])
        assert len(set(laps[-1])) == len(laps[-1])


def test_equal_shares_at_temperature_zero() -> None:
    sampler = MultiTaskBatchSampler({"small": 40, "large": 360}, 10, temperature=0)
    assert sampler.counts == {"small": 20, "large": 20}
    large = [i for task, indices, _ in sampler if task == "large" for i in indices]
    following = MultiTaskBatchSampler({"small": 40, "large": 360}, 10, temperature=0)
    following.set_epoch(1)
    large += [i for task, indices, _ in following if task == "large" for i in indices][:160]
    assert sorted(large) == list(range(360))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    def order(epoch: int, seed: int) -> list[Any]:
        return ranks({"a": 50, "b": 30}, 7, 1, epoch, seed=seed)[0]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != order(0, 1)


def test_a_task_s_order_does_not_depend_on_the_other_tasks() -> None:
    alone, together = ranks({"a": 50}, 7, 1)[0], ranks({"b": 90, "a": 50}, 7, 1)[0]
    assert [batch for batch in together if batch[0] == "a"] == alone


def test_a_remainder_smaller_than_the_world_joins_the_batch_before() -> None:
    steps = list(zip(*ranks({"a": 4 * 3 * 2 + 2}, 4, 3), strict=True))
    assert [[len(indices) for _, indices, _ in step] for step in steps] == [[4, 4, 4], [5, 5, 4]]


def test_breaking_off_starts_the_epoch_again() -> None:
    sampler = MultiTaskBatchSampler({"a": 50}, 7)
    whole = list(sampler)
    assert next(iter(sampler)) == whole[0]
    assert list(sampler) == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": {"a": 2}, "world": 3}, "2 samples for 3 ranks"),
        ({"temperature": 1.5}, "temperature 1.5"),
        ({"batch_size": 0}, "batches of 0"),
        ({"sizes": {}}, "0 tasks"),
        ({"rank": 1}, "rank 1 of 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"sizes": {"a": 9}, "batch_size": 3} | options
    with pytest.raises(UPSError, match=message):
        MultiTaskBatchSampler(**arguments)


def test_a_state_of_other_sampling_is_refused() -> None:
    state = MultiTaskBatchSampler({"a": 50}, 7).state_dict()
    with pytest.raises(UPSError, match="'batch': 7"):
        MultiTaskBatchSampler({"a": 50}, 8).load_state_dict(state)
