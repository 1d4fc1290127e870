"""What models state about grids: how far they see, measured on the network, and what a grid costs them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toy_models import component, perturbed, simulator
from toy_tasks import batch_of, evolution, steady
from ups_data.info import Boundary
from ups_models.block_model import BlockModelConfig
from ups_models.config import FNOConfig, LatentOperatorConfig, UNetConfig


@pytest.mark.parametrize(
    ("kind", "dim", "options"),
    [
        ("unet", 1, {"levels": 1, "width": 4}),
        ("unet", 1, {"levels": 3, "width": 4}),
        ("unet", 1, {"levels": 2, "blocks": 2, "width": 4}),
        ("unet", 2, {"levels": 2, "width": 4}),
        ("latent_operator", 1, {"patch": 2, "kernel": 3, "middle_blocks": 2, "depth": 2}),
        ("latent_operator", 1, {"patch": 3, "kernel": 7, "middle_blocks": 1, "depth": 1}),
        ("latent_operator", 2, {"patch": 2, "kernel": 3, "middle_blocks": 1, "depth": 1}),
        ("latent_operator", 2, {"patch": 4, "kernel": 3, "middle_blocks": 1, "depth": 2}),
    ],
)
def test_a_corner_sees_as_many_cells_as_its_model_says(kind: str, dim: int, options: dict[str, int]) -> None:
    config = component(kind, **options).config
    assert isinstance(config, BlockModelConfig)
    said = config.cells_seen(dim)
    assert said is not None
    block = config.block_cells(dim)
    cells = (said // block + 2) * block
    task = steady(dim=dim, cells=cells)
    model = perturbed(simulator(kind, task, **options))
    batch = batch_of(task, size=1)
    static = batch.static.requires_grad_()
    x = model.normaliser(task.name).network_input(replace(batch, static=static))
    model.network(x)[(0, 0, *([0] * dim))].backward()
    assert static.grad is not None
    reached = static.grad[0, 0].abs().flatten(1).amax(1) if dim > 1 else static.grad[0, 0].abs()
    assert int(reached.nonzero().max()) + 1 == said


def test_a_steady_problem_needs_the_complete_domain() -> None:
    task = steady("darcy", cells=64)
    (line,) = UNetConfig(levels=3).advise({"darcy": task})
    assert line == (
        "task 'darcy': a cell in a corner sees 34 of 64 cells along an axis, but a steady solution depends on all "
        "of them; use more levels or blocks"
    )
    assert UNetConfig().advise({"darcy": task}) == [], "the default sees all cells"
    assert UNetConfig(levels=3).advise({"ring": steady("ring", cells=64, boundary="periodic")}) == []
    assert UNetConfig(levels=1).advise({"wave": evolution("wave", dim=2, cells=64)}) == []
    (line,) = LatentOperatorConfig().advise({"darcy": steady("darcy", cells=128)})
    assert line.endswith("use a larger depth or kernel")
    assert LatentOperatorConfig(depth={2: 6}).advise({"darcy": steady("darcy", cells=128)}) == []
    assert LatentOperatorConfig(trunk="pdet_stack").advise({"darcy": steady("darcy", cells=256)}) == []
    assert FNOConfig().advise({"darcy": task}) == ()


@pytest.mark.parametrize(
    ("shape", "copies"), [((64,), 1), ((65,), 4), ((66,), 2), ((50, 50), 16), ((65, 64), 8)]
)
def test_copies_are_named_with_their_cost(shape: tuple[int, ...], copies: int) -> None:
    task = replace(evolution("wave", dim=len(shape)), shape=shape)
    lines = LatentOperatorConfig().advise({"wave": task})
    if copies == 1:
        assert lines == []
    else:
        assert f"need {copies} shifted copies, so a step costs {copies} times as much" in lines[0]
        assert lines[0].startswith("task 'wave': " + "x".join(map(str, shape)))


@pytest.mark.parametrize("trunk", ["multiscale", "pdet_stack", "pdet_unet"])
@pytest.mark.parametrize("cells", range(4, 16))
def test_a_grid_that_passes_the_check_runs(trunk: str, cells: int) -> None:
    runs(
        "latent_operator",
        cells,
        trunk=trunk,
        patch=2,
        kernel=7,
    )


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("cells", [2, 3, 4, 5, 6, 8, 9, 10, 12])
def test_a_small_grid_that_passes_the_check_runs_through_the_unet(levels: int, cells: int) -> None:
    runs("unet", cells, levels=levels)


def runs(kind: str, cells: int, **options: object) -> None:
    """A grid that wraps or mirrors runs exactly if the options' check accepts it; others always run."""
    reports = {"periodic": "wrapping around more than once", "wall": "exceeds dimension size"}
    boundaries: tuple[Boundary, ...] = ("periodic", "wall", "dirichlet", "neumann", "open")
    for boundary in boundaries:
        task = evolution(cells=cells, boundary=boundary)
        accepted = not component(kind, **options).config.check({task.name: task})  # type: ignore[attr-defined]
        batch, sim = batch_of(task), simulator(kind, task, **options)
        with torch.no_grad():
            if accepted:
                assert sim.step(batch).shape == (3, 2, cells)
            else:
                with pytest.raises(RuntimeError, match=reports[boundary]):
                    sim.step(batch)
