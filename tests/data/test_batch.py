"""A batch and where its tensors are; seeds as functions of coordinates."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import coin, derive_seed


def batch(count: int = 3) -> FieldBatch:
    return FieldBatch(
        task="wave",
        state=torch.zeros(count, 1, 1, 4),
        static=torch.zeros(count, 0, 4),
        params=torch.zeros(count, 1),
        params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.zeros(count),
        coords=torch.zeros(4, 1),
        target=torch.zeros(count, 2, 1, 4),
        index=torch.arange(count),
        loss_weight=0.5,
    )


@pytest.mark.parametrize("count", [0, 1, 7])
def test_its_length_is_the_number_of_samples(count: int) -> None:
    assert len(batch(count)) == count


def test_some_windows_of_a_batch() -> None:
    """Every tensor but the coordinates, also one that is added later."""
    before = replace(batch(4), forcing=torch.zeros(4, 3, 1, 4))
    for number, field in enumerate(fields(before)):
        value = getattr(before, field.name)
        if isinstance(value, torch.Tensor) and field.name != "coords":
            rows = torch.arange(4).reshape(4, *[1] * (value.ndim - 1)) + 10 * number
            setattr(before, field.name, (torch.zeros_like(value) + rows).to(value.dtype))
    found = before.rows(torch.tensor([2, 0, 2]))
    assert len(found) == 3
    for field in fields(before):
        value, chosen = getattr(before, field.name), getattr(found, field.name)
        if not isinstance(value, torch.Tensor) or field.name == "coords":
            assert chosen is value
        else:
            assert torch.equal(chosen, torch.stack([value[2], value[0], value[2]]))
    assert torch.equal(before.repeated(2).index, before.rows(torch.tensor([0, 1, 2, 3] * 2)).index)


@pytest.mark.parametrize("non_blocking", [False, True])
def test_moving_a_batch(non_blocking: bool) -> None:
    before = batch()
    moved = before.to("meta", non_blocking=non_blocking)
    assert moved is not before
    assert (moved.task, moved.loss_weight) == ("wave", 0.5)
    assert moved.index is before.index, "seeds are derived from it on the host"
    for field in fields(before):
        value = getattr(moved, field.name)
        if isinstance(value, torch.Tensor) and field.name != "index":
            assert value.device.type == "meta"
            assert value.dtype == getattr(before, field.name).dtype
            assert value.shape == getattr(before, field.name).shape
    assert before.state.device.type == "cpu"


def test_a_batch_that_is_there_already_is_not_copied() -> None:
    before = batch()
    assert before.to("cpu").state is before.state


def test_seeds_never_change() -> None:
    """A run resumed with another version must draw what the first one drew."""
    assert derive_seed(0) == 3456079177858693020
    assert derive_seed(7, "noise", 3) == 39802044947728096
    assert derive_seed(2022, "translation", 0, 5) == 2977541000582106616


@given(
    seed=st.integers(0, 2**31), coordinates=st.lists(st.integers(0, 10**6) | st.text(max_size=8), max_size=4)
)
def test_seeds_fit_every_generator(seed: int, coordinates: list[int | str]) -> None:
    found = derive_seed(seed, *coordinates)
    assert 0 <= found < 2**63
    torch.Generator().manual_seed(found)
    assert found == derive_seed(seed, *coordinates)


def test_neighbouring_coordinates_have_unrelated_seeds() -> None:
    seeds = [derive_seed(0, "shift", number) for number in range(2000)]
    assert len(set(seeds)) == len(seeds)
    shares = [sum(seed >> bit & 1 for seed in seeds) / len(seeds) for bit in range(62)]
    assert all(0.42 < share < 0.58 for share in shares), "every bit is a fair coin"


def test_coordinates_do_not_run_together() -> None:
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert derive_seed(1, "a", "b") != derive_seed(1, "b", "a")
    assert derive_seed(1, 2) == derive_seed(1, "2"), "they are compared as text"


def test_a_coin_is_fair_and_repeatable() -> None:
    flips = [coin(3, "reflect", number) for number in range(4000)]
    assert 0.45 < sum(flips) / len(flips) < 0.55
    assert flips == [coin(3, "reflect", number) for number in range(4000)]
    assert flips != [coin(4, "reflect", number) for number in range(4000)]
