"""Training on tiles: the same expectation as complete fields, and what cannot be trained so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ups_core import Component
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_data.info import TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.tasks.create import create_task
from ups_models.grid_part import GridPart
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig, TilesConfig
from ups_train.stages.tiles import draw_tile

SMALL = Component.of("models", "unet", {"width": 4, "levels": 2})
"""Sees 14 cells on each side of a block of 2."""
SEEN = 14


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskData]:
    root = tmp_path_factory.mktemp("data")
    options: dict[str, dict[str, Any]] = {
        "advection1d": {"beta": [0.4, 1.0], "resolution": 64, "frames": 4},
        "diffusion_sorption1d": {"resolution": 64, "frames": 4},
        "darcy_grf": {"resolution": 32},
    }
    made = {name: prepare_task(name, {"trajectories": 10} | given, root) for name, given in options.items()}
    return made | {"wide": prepare_task("darcy_grf", {"trajectories": 10, "resolution": 64}, root)}


def tiles_of(info: TaskInfo, config: TilesConfig, step: int) -> dict[tuple[int, ...], GridPart]:
    """All tiles that can be drawn, by their first cells."""
    drawn = (draw_tile(info, config, step, 1.0, seed) for seed in range(1000))
    return {part.starts: part for part in drawn}


def objective(data: TaskData, **options: Any) -> OperatorObjective:
    config = validate_options(
        OperatorConfig, {"losses": ["mse"], "augment": False} | options, registry_in_use()
    )
    assert isinstance(config, OperatorConfig)
    torch.manual_seed(0)
    made = OperatorObjective(config, ObjectiveInputs(SMALL, {data.info.name: data}))
    for weight in made.network.parameters():  # the last layer is zero at first
        weight.data += 0.1 * torch.randn_like(weight)
    return made


def gradient(made: OperatorObjective, loss: Tensor) -> Tensor:
    slopes = torch.autograd.grad(loss, list(made.network.parameters()), materialize_grads=True)
    return torch.cat([slope.flatten() for slope in slopes])


@pytest.mark.parametrize(("task", "tiles"), [("advection1d", 32), ("diffusion_sorption1d", 4), ("wide", 16)])
def test_the_mean_over_tiles_is_the_complete_loss(data: dict[str, TaskData], task: str, tiles: int) -> None:
    """Losses and gradients of all tiles that are drawn: at ends, in the middle, across a periodic edge."""
    opened = data[task]
    made, config = objective(opened), TilesConfig(cells=16, halo=SEEN)
    batch = opened.windows("train", horizon=1).batch(range(3))
    parts = tiles_of(opened.info, config, 2)
    assert len(parts) == tiles
    inside = [part for part in parts.values() if min(*part.before, *part.after) == SEEN]
    assert inside, "a tile that no side of the grid cuts"
    losses, slopes = [], []
    for part in parts.values():
        prediction = made.simulator.step_on(batch, part)[:, None]
        loss = made.compare(batch, prediction, part.tile(batch.target[:, :1], 3))
        losses.append(float(loss.detach()))
        slopes.append(gradient(made, loss))
    complete = made.loss(batch, 0, 1.0)
    assert sum(losses) / tiles == pytest.approx(float(complete.detach()), rel=1e-5)
    exact, found = gradient(made, complete), torch.stack(slopes).mean(dim=0)
    assert (found - exact).norm() < 1e-4 * exact.norm()


def test_a_halo_that_is_too_narrow_is_a_bias(data: dict[str, TaskData]) -> None:
    """By a single block: otherwise the test above would prove nothing, and what a model sees would be wrong."""
    opened = data["wide"]
    made = objective(opened)
    batch = opened.windows("train", horizon=1).batch(range(3))
    errors = []
    for halo in (SEEN, SEEN - 2, 0):
        part = GridPart.of_grid((64, 64), (False, False), (16, 32), 16, halo)
        with torch.no_grad():
            tile, complete = made.simulator.step_on(batch, part), made.simulator.step(batch)
        errors.append(float((tile - part.tile(complete, 2)).abs().max() / complete.std()))
    assert errors[0] < 1e-5
    assert errors[1] > 10 * errors[0]
    assert errors[2] > 1e-3


@settings(deadline=None, max_examples=50)
@given(
    cells=st.sampled_from([4, 8, 16]), seed=st.integers(0, 10_000), step=st.sampled_from([1, 2, 4]),
    halo=st.integers(0, 40),
)  # fmt: skip
def test_a_tile_is_the_inner_part_of_its_window(cells: int, seed: int, step: int, halo: int) -> None:
    info = darcy(32)
    config = TilesConfig(cells=cells, halo=halo)
    drawn = draw_tile(info, config, step, 1.0, seed)
    grid = torch.arange(32 * 32).reshape(1, 1, 32, 32)
    tile, window = drawn.tile(grid, 2), drawn.window(grid, 2)
    assert tile.shape[2:] == (cells, cells)
    assert torch.equal(drawn.inner(window, 2), tile)
    assert all(start % cells == 0 for start in drawn.starts)


def darcy(resolution: int) -> TaskInfo:
    info: TaskInfo = create_task("darcy_grf", {"resolution": resolution}).describe(Path())
    return info


@pytest.mark.parametrize("cells", [8, 16])
def test_every_cell_between_boundaries_is_drawn_as_often(cells: int) -> None:
    counts, draws = torch.zeros(32, 32), 600 * (32 // cells) ** 2
    for seed in range(draws):
        part = draw_tile(darcy(32), TilesConfig(cells=cells), 2, 1.0, seed)
        rows, columns = (slice(start, start + cells) for start in part.starts)
        counts[rows, columns] += 1
    assert counts.sum() == draws * cells**2
    assert counts.min() > 0.85 * counts.mean()
    assert counts.max() < 1.15 * counts.mean()


def test_tiles_of_a_periodic_axis_start_anywhere(data: dict[str, TaskData]) -> None:
    info = data["advection1d"].info
    starts = {draw_tile(info, TilesConfig(cells=16), 2, 1.0, seed).starts[0] for seed in range(400)}
    assert starts == set(range(0, 64, 2))
    counts = torch.zeros(64)
    for seed in range(4000):
        part = draw_tile(info, TilesConfig(cells=16), 1, 1.0, seed)
        counts[part.tile(torch.arange(64), 0)] += 1
    assert counts.min() > 0.85 * counts.mean()
    assert counts.max() < 1.15 * counts.mean()


def test_tiles_grow() -> None:
    config = TilesConfig(cells=64, first=16, curriculum=0.6)
    assert [config.cells_at(progress) for progress in (0.0, 0.19, 0.21, 0.39, 0.41, 1.0)] == [
        16,
        16,
        32,
        32,
        64,
        64,
    ]
    assert TilesConfig(cells=64).cells_at(0.0) == 64
    with pytest.raises(ValueError, match="cells 64 is not first 20 times a power of two; change one"):
        TilesConfig(cells=64, first=20)


def test_training_draws_tiles(data: dict[str, TaskData]) -> None:
    opened = data["darcy_grf"]
    made = objective(opened, tiles={"cells": 16, "halo": 8})
    batch = opened.windows("train", horizon=1).batch(range(3))
    losses = {float(made.loss(batch, seed, 0.5).detach()) for seed in range(40)}
    assert len(losses) == 4, "one for every tile"
    assert float(made.loss(batch, 3, 0.5).detach()) == float(made.loss(batch, 3, 0.5).detach())


@pytest.mark.parametrize(
    ("options", "model", "task", "message"),
    [
        (
            {"losses": ["relative_l2"]},
            SMALL,
            "darcy_grf",
            "'relative_l2' is not a mean over cells, which tiles need; use mse, or remove tiles",
        ),
        ({"unroll": 2}, SMALL, "advection1d", "tiles are for single predictions; set unroll to 1"),
        ({}, Component.of("models", "fno", {"modes": 4}), "darcy_grf", "the model sees the complete grid"),
        (
            {},
            Component.of("models", "latent_operator", {}),
            "advection1d",
            "the model sees the complete grid",
        ),
        ({"tiles": {"cells": 12}}, SMALL, "darcy_grf", "tiles of 12 do not divide the 32 cells"),
        (
            {"tiles": {"cells": 16, "halo": 5}},
            SMALL,
            "darcy_grf",
            "5 is not a multiple of the model's blocks",
        ),
    ],
)
def test_what_cannot_be_trained_on_tiles(
    data: dict[str, TaskData], options: dict[str, Any], model: Component, task: str, message: str
) -> None:
    config = validate_options(
        OperatorConfig, {"losses": ["mse"], "tiles": {"cells": 16}} | options, registry_in_use()
    )
    assert isinstance(config, OperatorConfig)
    problems = [problem for _, problem in config.check({task: data[task].info}, model)]
    assert any(message in problem for problem in problems), problems
