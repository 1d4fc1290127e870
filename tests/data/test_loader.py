"""The loader: micro-batches that add up to a batch, exact positions whatever is assembled ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ups_data import FieldBatch, MultiTaskBatchSampler, MultiTaskLoader, TaskData, prepare_task

OPTIONS = {"trajectories": 20, "resolution": 16, "frames": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    return prepare_task("advection1d", OPTIONS, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    return prepare_task("darcy2d", {"trajectories": 20, "resolution": 8}, tmp_path_factory.mktemp("data"))


def loader_of(
    *data: TaskData, batch: int = 10, rank: int = 0, world: int = 1, **options: Any
) -> MultiTaskLoader:
    windows = {part.info.name: part.windows("train", horizon=1) for part in data}
    sizes = {name: len(part) for name, part in windows.items()}
    sampler = MultiTaskBatchSampler(sizes, batch, rank=rank, world=world)
    return MultiTaskLoader(windows, sampler, **options)


def key(batch: FieldBatch) -> tuple[str, list[int], float]:
    return batch.task, batch.index.tolist(), batch.loss_weight


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(batch=st.integers(1, 17), micro_batches=st.integers(1, 5), world=st.integers(1, 3))
def test_weighted_means_add_up_to_the_mean_over_samples(
    data: TaskData, batch: int, micro_batches: int, world: int
) -> None:
    """What makes gradients exact: over all ranks and micro-batches, mean(weight * mean) = mean over samples."""
    ranks = [
        list(loader_of(data, batch=batch, rank=rank, world=world, micro_batches=micro_batches))
        for rank in range(world)
    ]
    lengths = {len(parts) for parts in ranks}
    assert len(lengths) == 1, "all ranks take as many steps"
    for step in range(lengths.pop() // micro_batches):
        window = slice(step * micro_batches, (step + 1) * micro_batches)
        parts = [part for rank in ranks for part in rank[window]]
        counted = [part for part in parts if part.loss_weight]
        samples = torch.cat([part.target.flatten(1).double().mean(1) for part in counted])
        weighted = [part.loss_weight * float(part.target.double().mean()) for part in parts]
        assert sum(weighted) / len(parts) == pytest.approx(float(samples.mean()), abs=1e-6)
        assert sum(part.loss_weight for part in parts) == pytest.approx(len(parts))


def test_micro_batches_split_a_batch_without_loss(data: TaskData) -> None:
    plain, split = loader_of(data), loader_of(data, micro_batches=3)
    assert len(split) == 3 * len(plain)
    parts = list(split)
    for number, batch in enumerate(plain):
        pieces = parts[3 * number : 3 * number + 3]
        together = torch.cat([piece.index for piece in pieces])
        assert torch.equal(together.sort().values, batch.index.sort().values)
        lengths = [len(range(len(batch))[start::3]) for start in range(3)]
        assert [len(piece) for piece in pieces] == lengths, "4, 3 and 3 of 10"


def test_a_micro_batch_without_a_sample_repeats_one_that_does_not_count(data: TaskData) -> None:
    parts = list(loader_of(data, batch=2, micro_batches=4))
    assert len(parts) == 4 * 24
    first = parts[:4]
    assert [part.loss_weight for part in first] == [2.0, 2.0, 0.0, 0.0]
    assert first[2].index.tolist() == first[3].index.tolist() == first[0].index.tolist()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_resuming_between_micro_batches_repeats_the_batch(
    data: TaskData, other: TaskData, workers: int, micro_batches: int
) -> None:
    def make() -> MultiTaskLoader:
        return loader_of(data, other, micro_batches=micro_batches, workers=workers)

    complete = [key(batch) for batch in make()]
    for stop in range(0, len(complete), 3):
        loader = make()
        running = iter(loader)
        for _ in range(stop):
            next(running)
        resumed = make()
        resumed.load_state_dict(loader.state_dict())
        done = stop // micro_batches * micro_batches
        assert [key(batch) for batch in resumed] == complete[done:]
        del running


def test_a_state_of_workers_does_not_count_what_they_made_ahead(data: TaskData) -> None:
    loader = loader_of(data, batch=4, workers=1)
    running = iter(loader)
    next(running)
    assert loader.state_dict()["position"] == 1
    assert loader.sampler.state_dict()["position"] >= 1
    del running


def test_a_new_epoch_starts_at_its_beginning(data: TaskData) -> None:
    loader = loader_of(data)
    running = iter(loader)
    next(running)
    loader.set_epoch(1)
    assert loader.state_dict() == loader.sampler.state_dict()
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (1, 0)
    fresh = loader_of(data)
    fresh.set_epoch(1)
    assert [key(batch) for batch in loader] == [key(batch) for batch in fresh]
    loader.set_epoch(1)
    assert loader.state_dict()["position"] == len(loader), "naming the same epoch again changes nothing"


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_the_first_micro_batches_are_for_measurements(
    data: TaskData, other: TaskData, micro_batches: int
) -> None:
    loader = loader_of(data, other, batch=10, micro_batches=micro_batches)
    sizes = {batch.task: len(batch) for batch in loader.firsts()}
    assert sizes == dict.fromkeys(["advection1d", "darcy2d"], {1: 10, 3: 4}[micro_batches])
    assert loader.state_dict()["position"] == 0
    tiny = loader_of(other, batch=1000)
    assert [len(batch) for batch in tiny.firsts()] == [len(tiny.windows["darcy2d"])]


def test_nothing_is_drawn_from_the_global_generators(data: TaskData, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    for workers in (0, 1):
        list(loader_of(data, workers=workers, batch=100))
    assert torch.equal(torch.get_rng_state(), state)
