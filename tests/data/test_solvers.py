"""Classical solvers of tasks: exact where the answer is known, and residuals that are zero for a solution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ups_data import prepare_task
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.solvers.advection import SpectralShift
from ups_data.solvers.base import Array, ClassicalSolver, Given

SMALL: dict[str, dict[str, object]] = {
    "advection1d": {"beta": [0.4], "resolution": 128, "frames": 4},
    "burgers1d": {"nu": [0.01], "resolution": 1024, "frames": 4},
    "darcy2d": {"resolution": 128},
}


@pytest.fixture(scope="module", params=SMALL)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    root = tmp_path_factory.mktemp("data")
    return prepare_task(request.param, SMALL[request.param] | {"trajectories": 10}, root)


def given(data: TaskData) -> tuple[ClassicalSolver, Given, Array]:
    batch = data.trajectories("train").batch(range(4))
    state = batch.state[:, -1:].flatten(0, 1)
    assert data.solver is not None
    start = Given(*(part.double().numpy() for part in (state, batch.static, batch.params)))
    return data.solver, start, batch.target.double().numpy()


def test_the_solver_reproduces_the_data(data: TaskData) -> None:
    """On the native grid generated data are a solution; only waves with a kink are not resolved."""
    solver, start, target = given(data)
    solution = solver.solve(start, data.info, target.shape[1])
    assert solution.shape == target.shape
    error = np.abs(solution - target).mean() / np.abs(target).mean()
    assert error < (2e-2 if data.info.kind == "evolution" else 1e-4)


def test_a_solution_has_no_residual_and_another_field_has(data: TaskData) -> None:
    solver, start, target = given(data)
    solution = solver.solve(start, data.info, target.shape[1])
    found, scale = solver.residual(solution, start, data.info)
    assert found.shape == scale.shape == target.shape
    assert np.abs(found).max() < 1e-4 * np.abs(scale).max(), "but for the integrals of a frame"
    found, scale = solver.residual(1.5 * solution, start, data.info)
    assert np.abs(found).mean() > 0.1 * np.abs(scale).mean()


WAVE = TaskInfo(
    name="wave", family="wave", kind="evolution", channels=(Channel("u", "1", "state"),),
    parameters=(Parameter("beta", "1", 0.1, 4.0),), boundary="periodic", domain=((-2.0, 2.0),), shape=(32,),
    dt=0.1, frames=5, history=1, invariants=(), equation="",
)  # fmt: skip


def test_the_shift_is_exact_on_any_domain_and_for_every_speed() -> None:
    x, t = np.asarray(WAVE.axes[0]), 0.1 * np.arange(1, 5)
    speeds = np.array([[0.3], [-1.7]])
    start = np.sin(np.pi / 2 * 3 * x) + 0.5 * np.cos(np.pi / 2 * x)
    state = np.stack([start, start])[:, None]
    found = SpectralShift().solve(Given(state, np.zeros((2, 0, 32)), speeds), WAVE, 4)
    for row, speed in enumerate(speeds[:, 0]):
        moved = x[None] - speed * t[:, None]
        exact = np.sin(np.pi / 2 * 3 * moved) + 0.5 * np.cos(np.pi / 2 * moved)
        np.testing.assert_allclose(found[row, :, 0], exact, atol=1e-12)


def test_tasks_without_a_solver_say_so(tmp_path: Path) -> None:
    from ups_data.tasks.create import create_task

    assert create_task("shallow_water2d", {}).solver() is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("points", [16, 64, 256])
@pytest.mark.parametrize("nu", [0.001, 0.01, 1.0])
def test_burgers_solves_on_coarse_grids_too_and_says_what_it_cannot(points: int, nu: float) -> None:
    """Predicted fields are rough, and may be anything."""
    from ups_data.solvers.burgers import ColeHopf

    info = replace(WAVE, shape=(points,), domain=((0.0, 1.0),), dt=0.05)
    random = np.random.default_rng(0)
    x = np.arange(points) / points
    fields = np.stack(
        [
            np.sin(2 * np.pi * x),
            random.normal(size=points),
            1e12 * np.sin(2 * np.pi * x),
            np.full(points, np.nan),
        ]
    )[:, None]
    params = np.full((4, 1), nu)
    found = ColeHopf().solve(Given(fields, np.zeros((4, 0, points)), params), info, 3)
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2:]).all()
    assert np.abs(found[:2, -1]).max() <= np.abs(fields[:2]).max(), "the maximum principle"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("task", SMALL)
def test_residuals_of_anything_are_numbers_or_not_but_never_errors(task: str, tmp_path: Path) -> None:
    """A model may predict whatever it wants; what is not finite is infinitely wrong."""
    data = prepare_task(task, SMALL[task] | {"trajectories": 10, "resolution": 32}, tmp_path)
    solver, start, target = given(data)
    for fields in (1e12 * target, np.full_like(target, np.nan), np.full_like(target, 3e38)):
        found, scale = solver.residual(fields, start, data.info)
        assert found.shape == scale.shape == target.shape
