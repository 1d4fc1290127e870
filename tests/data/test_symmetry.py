"""Declared symmetries really map solutions to solutions, and augmentation applies them consistently."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ups_data.batch import FieldBatch
from ups_data.generators.burgers import _initial, evolve
from ups_data.generators.darcy import media, solve_darcy
from ups_data.symmetry import SYMMETRIES, augment
from ups_data.task import TaskInfo, create_task

CELL = 1 / 128


def batch_of(task: TaskInfo, count: int = 4) -> FieldBatch:
    axes = [torch.linspace(0.0, 0.9, cells) for cells in task.shape]
    coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, task.dim)
    evolves = task.kind == "evolution"
    return FieldBatch(
        task=task.name,
        state=torch.rand(count, task.history, 1 if evolves else 0, *task.shape),
        static=torch.rand(count, 0 if evolves else 1, *task.shape),
        params=torch.rand(count, 1), params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.full((count,), task.dt), coords=coords, target=torch.rand(count, 1, 1, *task.shape),
        index=torch.arange(count),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["advection1d", "burgers1d", "darcy2d"])
def test_tasks_declare_known_symmetries(name: str) -> None:
    info = create_task(name, {}).info
    assert info.symmetries
    assert set(info.symmetries) <= set(SYMMETRIES)
    assert TaskInfo.from_dict(info.to_dict()) == info


def test_burgers_is_translation_and_odd_reflection_symmetric() -> None:
    fields, cells = _initial(3, 0, 3, 1024)
    for u, integrals in zip(fields, cells, strict=True):
        plain = evolve(u, integrals, 0.01 / math.pi, 0.05, 5)
        moved = evolve(np.roll(u, 77), np.roll(integrals, 77), 0.01 / math.pi, 0.05, 5)
        np.testing.assert_allclose(moved[-1], np.roll(plain[-1], 77), atol=1e-6)
        # Mirrored points run backwards: the integral from a point to the next becomes one from its other side.
        mirrored = evolve(-u[::-1], -np.roll(integrals[::-1], -1), 0.01 / math.pi, 0.05, 5)
        np.testing.assert_allclose(mirrored[-1], -plain[-1][::-1], atol=1e-6)


def test_darcy_is_reflection_and_transposition_symmetric_on_its_own_grid() -> None:
    field = media(0, 0, 1)[0]
    plain = solve_darcy(field, 1.0, (CELL, CELL))
    np.testing.assert_allclose(solve_darcy(field[::-1], 1.0, (CELL, CELL)), plain[::-1], rtol=1e-9)
    np.testing.assert_allclose(solve_darcy(field.T, 1.0, (CELL, CELL)), plain.T, rtol=1e-9)


def test_reflection_of_a_strided_grid_is_exact_with_its_coordinates() -> None:
    """Fields given as functions of the place: what augmentation does to places, it does to fields."""
    task = create_task("darcy2d", {"resolution": 32}).info
    axis = (torch.arange(0, 128, 4) + 0.5) / 128  # not even about the middle
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    x, y = grid.unbind(-1)
    height = (x * (1 - x)) * (y * (1 - y)) ** 2  # reflection symmetric, not transposition symmetric
    batch = replace(
        batch_of(task, 1), static=height[None, None], target=height[None, None, None],
        coords=grid.reshape(-1, 2),
    )  # fmt: skip
    torch.manual_seed(0)
    offsets = set()
    for _ in range(16):
        found = SYMMETRIES["reflection"](batch, task)
        x, y = found.coords.reshape(32, 32, 2).unbind(-1)
        expected = (x * (1 - x)) * (y * (1 - y)) ** 2
        assert torch.allclose(found.target[0, 0, 0], expected, atol=1e-7)
        assert torch.allclose(found.static[0, 0], expected, atol=1e-7)
        assert (x[1:] - x[:-1]).min() > 0, "places still run upwards"
        offsets.add((round(float(x[0, 0]) * 128, 1), round(float(y[0, 0]) * 128, 1)))
        turned = SYMMETRIES["transpose"](found, task)
        x, y = turned.coords.reshape(32, 32, 2).unbind(-1)
        either = [(x * (1 - x)) * (y * (1 - y)) ** 2, (y * (1 - y)) * (x * (1 - x)) ** 2]
        assert any(torch.allclose(turned.target[0, 0, 0], choice, atol=1e-7) for choice in either)
    assert offsets == {(0.5, 0.5), (0.5, 3.5), (3.5, 0.5), (3.5, 3.5)}


@pytest.mark.parametrize("name", ["advection1d", "burgers1d", "darcy2d"])
def test_augmentation_keeps_inputs_and_targets_together(name: str) -> None:
    """A target that is its input stays its input, whatever is drawn."""
    task = replace(create_task(name, {"resolution": 16}).info)
    batch = batch_of(task)
    given = batch.state if task.kind == "evolution" else batch.static[:, None]
    batch = replace(batch, target=given.clone())
    torch.manual_seed(0)
    seen = set()
    for _ in range(16):
        found = augment(batch, task)
        same = found.state if task.kind == "evolution" else found.static[:, None]
        assert torch.equal(found.target, same)
        seen.add(found.target.double().mul(torch.arange(1.0, 17.0)).sum().item())
    assert len(seen) > 3, "it does something"


def test_translation_shifts_every_sample_by_its_own_distance() -> None:
    task = create_task("advection1d", {"resolution": 16}).info
    one = batch_of(task)
    batch = replace(
        one, state=one.state[:1].expand_as(one.state), target=one.target[:1].expand_as(one.target)
    )
    torch.manual_seed(1)
    found = SYMMETRIES["translation"](batch, task)
    assert len({tuple(row.tolist()) for row in found.target[:, 0, 0]}) > 1
    for row in range(4):
        shifts = [
            k for k in range(16) if torch.equal(found.target[row, 0, 0], batch.target[row, 0, 0].roll(k))
        ]
        assert shifts
        assert torch.equal(found.state[row, 0, 0], batch.state[row, 0, 0].roll(shifts[0]))
