"""Training on tiles: the same expectation as complete fields, and what cannot be trained so."""

from __future__ import annotations

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
from ups_data.prepare.opening import TaskData
from ups_models.grid_part import GridPart
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.operator import OperatorObjective
from ups_train.stages.operator_config import OperatorConfig, TilesConfig
from ups_train.stages.tiles import draw_tile

SMALL = Component.of("models", "unet", {"width": 4, "levels": 2})
"""Sees 3 + 2 * (3 + 3) + 1 cells to each side, so a halo of 20 is wide enough."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaskData]:
    root = tmp_path_factory.mktemp("data")
    options: dict[str, dict[str, Any]] = {
        "advection1d": {"beta": [0.4, 1.0], "resolution": 64, "frames": 4},
        "diffusion_sorption1d": {"resolution": 64, "frames": 4},
        "darcy_grf": {"resolution": 32},
    }
    return {name: prepare_task(name, {"trajectories": 10} | given, root) for name, given in options.items()}


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


@pytest.mark.parametrize("task", ["advection1d", "diffusion_sorption1d", "darcy_grf"])
def test_the_mean_over_tiles_is_the_complete_loss(data: dict[str, TaskData], task: str) -> None:
    """Losses and gradients, at ends, in the middle and across the edge of a periodic grid."""
    opened = data[task]
    made = objective(opened)
    batch = opened.windows("train", horizon=1).batch(range(3))
    complete = made.loss(batch, 0, 1.0)
    info, cells = opened.info, 16
    offsets = [0, 6] if all(info.periodic) else [0]
    for offset in offsets:
        losses = []
        for number in range((info.shape[0] // cells) ** info.dim):
            places = [
                number // (info.shape[0] // cells) ** axis % (info.shape[0] // cells)
                for axis in range(info.dim)
            ]
            starts = [(cells * place + offset) % info.shape[0] for place in places]
            part = GridPart.of_grid(info.shape, info.periodic, starts, cells, 20)
            prediction = made.simulator.step_on(batch, part)[:, None]
            losses.append(made.compare(batch, prediction, part.tile(batch.target[:, :1], 3)))
        mean = torch.stack(losses).mean()
        assert float(mean.detach()) == pytest.approx(float(complete.detach()), rel=1e-5)
        exact, found = gradient(made, complete), gradient(made, mean)
        assert (found - exact).norm() < 1e-4 * exact.norm()
        complete = made.loss(batch, 0, 1.0)


def test_a_halo_that_is_too_narrow_is_a_bias(data: dict[str, TaskData]) -> None:
    """Otherwise the test above would prove nothing."""
    opened = data["darcy_grf"]
    made = objective(opened)
    batch = opened.windows("train", horizon=1).batch(range(3))
    part = GridPart.of_grid((32, 32), (False, False), (8, 16), 16, 0)
    with torch.no_grad():
        tile, complete = made.simulator.step_on(batch, part), made.simulator.step(batch)
    assert (tile - part.tile(complete, 2)).abs().max() > 1e-3 * complete.std()


@settings(deadline=None, max_examples=50)
@given(
    cells=st.sampled_from([4, 8, 16]), seed=st.integers(0, 10_000), step=st.sampled_from([1, 2, 4]),
    halo=st.integers(0, 40),
)  # fmt: skip
def test_every_cell_is_drawn_as_often(cells: int, seed: int, step: int, halo: int) -> None:
    from ups_data.tasks.create import create_task

    info = create_task("darcy_grf", {"resolution": 32}).describe(__import__("pathlib").Path())
    config = TilesConfig(cells=cells, halo=halo)
    drawn = draw_tile(info, config, step, 1.0, seed)
    grid = torch.arange(32 * 32).reshape(1, 1, 32, 32)
    tile, window = drawn.tile(grid, 2), drawn.window(grid, 2)
    assert tile.shape[2:] == (cells, cells)
    assert torch.equal(drawn.inner(window, 2), tile)
    assert all(start % cells == 0 for start in drawn.starts)


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
