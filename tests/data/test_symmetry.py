"""Declared symmetries really map solutions to solutions, and augmentation applies them consistently."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from toy_flow import flow
from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.batches.symmetry import SYMMETRIES, augment
from ups_data.generators.advection import evaluate
from ups_data.generators.burgers import Sampler, evolve
from ups_data.generators.darcy import media, solve_darcy
from ups_data.generators.waves import FREQUENCIES, Waves, initial_waves
from ups_data.info import Channel, TaskInfo
from ups_data.tasks.create import create_task

CELL = 1 / 128


def batch_of(task: TaskInfo, count: int = 4) -> FieldBatch:
    axes = [torch.linspace(0.0, 0.9, cells) for cells in task.shape]
    coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, task.dim)
    evolves = task.kind == "evolution"
    return FieldBatch(
        task=task.name,
        state=torch.rand(count, task.history, 1 if evolves else 0, *task.shape),
        static=torch.rand(count, 0 if evolves else 1, *task.shape),
        params=torch.rand(count, 1),
        params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.full((count,), task.dt),
        coords=coords,
        target=torch.rand(count, 1, 1, *task.shape),
        index=torch.arange(count),
    )


@pytest.mark.parametrize("name", ["advection1d", "burgers1d", "darcy2d"])
def test_tasks_declare_known_symmetries(name: str) -> None:
    info = create_task(name, {}).info
    assert info.symmetries
    assert set(info.symmetries) <= set(SYMMETRIES)
    assert TaskInfo.from_dict(info.to_dict()) == info


def translated(waves: Waves, distance: float) -> Waves:
    """u0(x - distance); of waves without windows."""
    angle = 2 * np.pi * FREQUENCIES * distance
    cosine = waves.cosine * np.cos(angle) - waves.sine * np.sin(angle)
    sine = waves.cosine * np.sin(angle) + waves.sine * np.cos(angle)
    return replace(waves, cosine=cosine, sine=sine)


def oddly_reflected(waves: Waves) -> Waves:
    """-u0(1 - x)."""
    return replace(waves, sine=-waves.sine, sign=-waves.sign, window=1 - waves.window[:, ::-1])


def burgers(waves: Waves, nu: float) -> NDArray[np.float64]:
    return evolve(Sampler(1024).initial_state(waves), nu / math.pi, 0.05, 5)


@pytest.mark.parametrize("nu", [0.001, 0.01, 1.0])
def test_burgers_is_translation_and_odd_reflection_symmetric(nu: float) -> None:
    for number in (0, 1, 14):  # the last has kinks
        waves = initial_waves(2022, number, number + 1)
        plain = burgers(waves, nu)
        moved = burgers(translated(waves, 77 / 1024), nu)
        np.testing.assert_allclose(moved, np.roll(plain, 77, axis=1), rtol=0, atol=1e-10)
    for number in (0, 9, 14, 17):  # also windows, and kinks under a window
        waves = initial_waves(2022, number, number + 1)
        mirrored = burgers(oddly_reflected(waves), nu)
        np.testing.assert_allclose(mirrored, -burgers(waves, nu)[:, ::-1], rtol=0, atol=1e-7)


def test_burgers_has_no_other_symmetry() -> None:
    """Signs and reflections alone do not map solutions to solutions, so they must not be declared."""
    waves = initial_waves(2022, 0, 1)
    plain = burgers(waves, 0.01)[-1]
    assert np.abs(burgers(replace(waves, sign=-waves.sign), 0.01)[-1] + plain).max() > 0.1
    assert np.abs(burgers(replace(waves, sine=-waves.sine), 0.01)[-1] - plain[::-1]).max() > 0.1


def test_advection_is_translation_and_sign_symmetric() -> None:
    waves = initial_waves(2022, 0, 30)
    waves = replace(waves, window=np.full_like(waves.window, np.nan))
    x, times = (np.arange(1024) + 0.5) / 1024, np.arange(5) / 20
    plain = evaluate(waves, 0.7, times, x)
    moved = evaluate(translated(waves, 77 / 1024), 0.7, times, x)
    np.testing.assert_allclose(moved, np.roll(plain, 77, axis=-1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        evaluate(replace(waves, sign=-waves.sign), 0.7, times, x), -plain, rtol=0, atol=1e-6
    )


def test_darcy_is_reflection_and_transposition_symmetric_on_its_own_grid() -> None:
    field = media(0, 0, 1)[0]
    plain = solve_darcy(field, 1.0, (CELL, CELL))
    np.testing.assert_allclose(solve_darcy(field[::-1], 1.0, (CELL, CELL)), plain[::-1], rtol=1e-9)
    np.testing.assert_allclose(solve_darcy(field.T, 1.0, (CELL, CELL)), plain.T, rtol=1e-9)


def test_darcy_reflection_of_a_strided_grid_needs_its_coordinates() -> None:
    """Every second cell lies half a coarse cell off the middle: flipping values alone is a few per cent off."""
    field = media(2022, 0, 1)[0]
    plain, mirrored = (solve_darcy(a, 1.0, (CELL, CELL))[::2, ::2] for a in (field, field[::-1]))
    error = np.linalg.norm(plain[::-1] - mirrored) / np.linalg.norm(mirrored)
    assert 1e-2 < error < 5e-2


def test_reflection_of_a_strided_grid_is_exact_with_its_coordinates() -> None:
    """Fields given as functions of the place: what augmentation does to places, it does to fields."""
    task = create_task("darcy2d", {"resolution": 32}).info
    axis = (torch.arange(0, 128, 4) + 0.5) / 128  # not even about the middle
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    x, y = grid.unbind(-1)
    height = (x * (1 - x)) * (y * (1 - y)) ** 2  # reflection symmetric, not transposition symmetric
    batch = replace(
        batch_of(task, 1),
        static=height[None, None],
        target=height[None, None, None],
        coords=grid.reshape(-1, 2),
    )
    offsets = set()
    for seed in range(16):
        found = SYMMETRIES["reflection"](batch, task, seed)
        x, y = found.coords.reshape(32, 32, 2).unbind(-1)
        expected = (x * (1 - x)) * (y * (1 - y)) ** 2
        assert torch.allclose(found.target[0, 0, 0], expected, atol=1e-7)
        assert torch.allclose(found.static[0, 0], expected, atol=1e-7)
        assert (x[1:] - x[:-1]).min() > 0, "places still run upwards"
        offsets.add((round(float(x[0, 0]) * 128, 1), round(float(y[0, 0]) * 128, 1)))
        turned = SYMMETRIES["transpose"](found, task, seed)
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
    seen = set()
    for seed in range(16):
        found = augment(batch, task, seed)
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
    found = SYMMETRIES["translation"](batch, task, 1)
    assert len({tuple(row.tolist()) for row in found.target[:, 0, 0]}) > 1
    for row in range(4):
        shifts = [
            k for k in range(16) if torch.equal(found.target[row, 0, 0], batch.target[row, 0, 0].roll(k))
        ]
        assert shifts
        assert torch.equal(found.state[row, 0, 0], batch.state[row, 0, 0].roll(shifts[0]))


@pytest.mark.parametrize("name", ["advection1d", "burgers1d", "darcy2d"])
def test_a_sample_is_transformed_alike_however_its_batch_is_split(name: str) -> None:
    """Ranks and micro-batches get parts of a batch; together they must see what one process would see."""
    task = create_task(name, {"resolution": 16}).info
    batch = batch_of(task, 6)
    for seed in range(12):
        together = augment(batch, task, seed)
        for rows in ([0, 2, 4], [1, 3, 5], [5]):
            names = ("state", "static", "params", "params_mask", "dt", "target", "index")
            part = augment(replace(batch, **{key: getattr(batch, key)[rows] for key in names}), task, seed)
            for key in names:
                assert torch.equal(getattr(part, key), getattr(together, key)[rows]), key
            assert torch.equal(part.coords, together.coords)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_transformations_move_values_and_change_none(name: str) -> None:
    task = create_task("darcy2d" if name == "transpose" else "advection1d", {"resolution": 16}).info
    batch = batch_of(task)
    seen = set()
    for seed in range(12):
        found = SYMMETRIES[name](batch, task, seed)
        before, after = (
            torch.sort(tensor.abs().flatten(1)).values for tensor in (batch.target, found.target)
        )
        assert torch.equal(before, after)
        assert found.target.shape == batch.target.shape
        assert found.index is batch.index
        assert torch.equal(found.params, batch.params)
        seen.add(torch.equal(found.target, batch.target))
    assert False in seen, "it does something"


def test_transposing_exchanges_the_coordinates_with_the_axes() -> None:
    task = create_task("darcy2d", {"resolution": 16}).info
    x, y = torch.arange(16.0), 100 + torch.arange(16.0)
    coords = torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1)
    field = coords[..., 0] + coords[..., 1] / 1000
    batch = replace(
        batch_of(task, 1),
        static=field[None, None],
        target=field[None, None, None],
        coords=coords.reshape(-1, 2),
    )
    found = next(
        moved
        for moved in (SYMMETRIES["transpose"](batch, task, seed) for seed in range(9))
        if not torch.equal(moved.target, batch.target)
    )
    places = found.coords.reshape(16, 16, 2)
    assert torch.equal(places[..., 0], y[:, None].expand(16, 16))
    assert torch.equal(places[..., 1], x.expand(16, 16))
    assert torch.equal(found.target[0, 0, 0], field.T)


def derivative(field: torch.Tensor, axis: int) -> torch.Tensor:
    """The exact derivative of a band-limited periodic field along one of two last axes of length 1."""
    cells = field.shape[axis - 2]
    waves = torch.fft.fftfreq(cells, 1 / cells, dtype=torch.float64) * 2j * math.pi
    waves = waves[:, None] if axis == 0 else waves
    return torch.fft.ifft2(waves * torch.fft.fft2(field)).real


def with_derivatives(field: torch.Tensor) -> torch.Tensor:
    """A scalar `(..., x, y)`, its gradient and its second derivatives as channels `(..., 6, x, y)`."""
    gradient = [derivative(field, axis) for axis in (0, 1)]
    second = [derivative(gradient[a], b) for a, b in ((0, 0), (0, 1), (1, 1))]
    return torch.stack([field, *gradient, *second], dim=-3)


@pytest.mark.parametrize("name", ["reflection", "transpose", "translation"])
@pytest.mark.parametrize("seed", range(6))
def test_components_of_vectors_and_tensors_change_with_the_axes(name: str, seed: int) -> None:
    """The gradient of a transformed field is the transformed gradient; the same for second derivatives."""
    parts = [("v", (0,)), ("v", (1,)), ("h", (0, 0)), ("h", (0, 1)), ("h", (1, 1))]
    task = replace(
        flow(dim=2, cells=16, symmetries=(name,)),  # type: ignore[arg-type]
        channels=(
            Channel("phi", "1", "state"),
            *(Channel(v + "".join(map(str, part)), "1", "state", v, part) for v, part in parts),
        ),
    )
    torch.manual_seed(seed)
    spectrum = torch.zeros(3, 2, 16, 16, dtype=torch.complex128)
    spectrum[..., :4, :4] = torch.randn(3, 2, 4, 4, dtype=torch.complex128)
    fields = with_derivatives(torch.fft.ifft2(spectrum).real * 256)
    batch = FieldBatch(
        task="flow",
        state=fields[:, :1],
        static=torch.empty(3, 0, 16, 16, dtype=torch.float64),
        params=torch.empty(3, 0),
        params_mask=torch.empty(3, 0, dtype=torch.bool),
        dt=torch.full((3,), 0.1),
        coords=torch.tensor([(x, y) for x in task.axes[0] for y in task.axes[1]]),
        target=fields[:, 1:],
        index=torch.arange(3),
    )
    moved = augment(batch, task, seed)
    for part in (moved.state, moved.target):
        torch.testing.assert_close(part, with_derivatives(part[:, :, 0]), rtol=1e-9, atol=1e-8)


def test_a_component_without_its_partner_cannot_be_exchanged() -> None:
    alone = (Channel("vx", "1", "state", "v", (0,)),)
    with pytest.raises(UPSError, match=r"exchanges component \(0,\) of 'v' with one that is not there"):
        replace(flow(dim=2, cells=16), channels=alone, symmetries=("transpose",))
    upper = (Channel("wxy", "1", "state", "w", (0, 1)),)
    with pytest.raises(UPSError, match=r"component \(0, 1\) of 'w'"):
        replace(flow(dim=2, cells=16), channels=upper, symmetries=("transpose",))
