"""Classical solvers of tasks: exact where the answer is known, and residuals that are zero for a solution."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from ups_core.plugin_loader import registry_in_use
from ups_data import prepare_task
from ups_data.generators.darcy import solve_darcy
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.solvers.advection import SpectralShift
from ups_data.solvers.base import ClassicalSolver, Given, IterativeSolver
from ups_data.tasks.create import create_task

GENERATED = [
    entry.name
    for entry in registry_in_use().entries("tasks")
    if entry.provider.distribution == "ups-data" and entry.name not in ("arrays", "files", "the_well")
]
SMALL: dict[str, dict[str, object]] = {
    "advection1d": {"beta": [0.4], "resolution": 128, "frames": 4},
    "burgers1d": {"nu": [0.01], "resolution": 1024, "frames": 4},
    "darcy2d": {"resolution": 128},
    "darcy_grf": {"resolution": 32},
}


@pytest.fixture(scope="module", params=SMALL)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    root = tmp_path_factory.mktemp("data")
    return prepare_task(request.param, SMALL[request.param] | {"trajectories": 10}, root)


def given(data: TaskData) -> tuple[ClassicalSolver, Given, Tensor]:
    batch = data.trajectories("train").batch(range(4))
    assert data.solver is not None
    return data.solver, Given.of(batch), batch.target.double()


def test_the_solver_reproduces_the_data(data: TaskData) -> None:
    """On the native grid generated data are a solution; only waves with a kink are not resolved."""
    solver, start, target = given(data)
    solution = solver.solve(start, data.info, target.shape[1])
    assert solution.shape == target.shape
    error = (solution - target).abs().mean() / target.abs().mean()
    assert error < (2e-2 if data.info.kind == "evolution" else 1e-4)


def test_a_solution_has_no_residual_and_another_field_has(data: TaskData) -> None:
    solver, start, target = given(data)
    solution = solver.solve(start, data.info, target.shape[1])
    found, scale = solver.residual(solution, start, data.info)
    assert found.shape == scale.shape == target.shape
    assert found.abs().max() < 1e-4 * scale.abs().max(), "but for the integrals of a frame"
    found, scale = solver.residual(1.5 * solution, start, data.info)
    assert found.abs().mean() > 0.1 * scale.abs().mean()


@pytest.mark.parametrize("points", [64, 32])
def test_a_grid_of_every_other_point_has_the_same_walls(points: int) -> None:
    """Its outermost points are not equally far from them. The medium is constant, so the scheme is accurate."""
    info = create_task("darcy2d", {"resolution": points}).describe(Path())
    solver = create_task("darcy2d", {}).solver()
    assert solver is not None
    given = Given(
        *map(torch.from_numpy, (np.zeros((1, 0, points, points)), np.ones((1, 1, points, points)))),
        torch.ones(1, 1),
    )
    stride = 128 // points
    exact = solve_darcy(np.ones((128, 128)), 1.0, (1 / 128, 1 / 128))[::stride, ::stride]
    found = solver.solve(given, info, 1)[0, 0, 0].numpy()
    assert np.abs(found - exact).max() < 2e-3 * exact.max()


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
    given = Given(*map(torch.from_numpy, (state, np.zeros((2, 0, 32)), speeds)))
    found = SpectralShift().solve(given, WAVE, 4)
    for row, speed in enumerate(speeds[:, 0]):
        moved = x[None] - speed * t[:, None]
        exact = np.sin(np.pi / 2 * 3 * moved) + 0.5 * np.cos(np.pi / 2 * moved)
        np.testing.assert_allclose(found[row, :, 0], exact, atol=1e-12)


def test_tasks_without_a_solver_say_so(tmp_path: Path) -> None:
    assert create_task("shallow_water2d", {}).solver() is None


@pytest.mark.parametrize("family", GENERATED)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_plan_knows_what_solvers_can_do(family: str, hidden: bool, tmp_path: Path) -> None:
    """It does not load them: they need torch."""
    from ups_data.tasks.create import create_task

    plain = create_task(family, {})
    names = [parameter.name for parameter in plain.describe(tmp_path).parameters]
    task = create_task(family, {"hidden": names}) if hidden and names else plain
    solver, info = task.solver(), task.describe(tmp_path)
    if solver is None:
        kind = "none"
    elif isinstance(solver, IterativeSolver) and solver.differentiable:
        kind = "iterative"
    else:
        kind = "differentiable" if solver.differentiable else "forward"
    assert info.solver == kind
    assert "solver" not in info.to_dict()
    assert TaskInfo.from_dict(info.to_dict()) == info


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
    given = Given(*map(torch.from_numpy, (fields, np.zeros((4, 0, points)), params)))
    found = ColeHopf().solve(given, info, 3)
    assert found[:2].isfinite().all()
    assert found[2:].isnan().all()
    assert found[:2, -1].abs().max() <= np.abs(fields[:2]).max(), "the maximum principle"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("task", SMALL)
def test_residuals_of_anything_are_numbers_or_not_but_never_errors(task: str, tmp_path: Path) -> None:
    """A model may predict whatever it wants; what is not finite is infinitely wrong."""
    data = prepare_task(task, SMALL[task] | {"trajectories": 10, "resolution": 32}, tmp_path)
    solver, start, target = given(data)
    for fields in (1e12 * target, torch.full_like(target, math.nan), torch.full_like(target, 3e38)):
        found, scale = solver.residual(fields, start, data.info)
        assert found.shape == scale.shape == target.shape


def random_darcy(shape: tuple[int, int], outside: float) -> tuple[IterativeSolver, Given, TaskInfo]:
    """Three rough media with a contrast of 100, each with its own source."""
    from ups_data.solvers.darcy import SparseDirect

    class Solver(SparseDirect):
        pass

    Solver.outside = outside
    random = torch.Generator().manual_seed(0)
    media = 10 ** torch.randint(-1, 2, (3, 1, *shape), generator=random).double()
    sources = torch.rand(3, 1, generator=random, dtype=torch.float64) + 0.5
    info = replace(
        WAVE, kind="steady", shape=shape, domain=((0.0, 1.0), (0.0, 2.0)), dt=0.0, frames=1, history=0,
        channels=(Channel("a", "1", "coefficient"), Channel("u", "1", "target")), boundary="dirichlet",
    )  # fmt: skip
    return Solver(), Given(torch.zeros(3, 0, *shape), media, sources), info


@pytest.mark.parametrize("outside", [0.0, 0.02])
@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (17, 12), (30, 22), (1, 9), (50, 34)])
def test_iterations_converge_to_the_direct_solution(shape: tuple[int, int], outside: float) -> None:
    """On grids that can be halved and on those that cannot; the energy of the error never grows."""
    solver, start, info = random_darcy(shape, outside)
    exact = solver.solve(start, info, 1)
    found, before = torch.zeros_like(exact), math.inf
    for iterations in (0, 1, 2, 4, 8, 60):
        found = solver.refine(torch.zeros_like(exact), start, info, iterations)
        error = found - exact
        rest, _ = solver.residual(found, start, info)
        energy = float((error * rest).sum())
        assert energy <= before * (1 + 1e-9)
        before = energy
    assert (found - exact).abs().max() < 1e-9 * exact.abs().max()
    assert torch.equal(solver.refine(exact, start, info, 0), exact)
    again = solver.refine(exact, start, info, 3)
    assert (again - exact).abs().max() < 1e-9 * exact.abs().max(), "an exact field stays"


def test_the_estimate_of_the_error_is_near_the_error() -> None:
    """Of waves of every length, where the residual as such differs by their lengths squared."""
    solver, start, info = random_darcy((64, 64), 0.0)
    start = start._replace(static=torch.ones_like(start.static))
    exact = solver.solve(start, info, 1)
    x = torch.tensor(info.axes[0], dtype=torch.float64)[:, None]
    y = torch.tensor(info.axes[1], dtype=torch.float64)
    for waves in (1, 3, 9, 27):
        error = (torch.sin(torch.pi * waves * x) * torch.sin(torch.pi * waves * y / 2)).expand_as(exact)
        estimate = solver.error(exact + error, start, info)
        assert 0.5 < estimate.norm() / error.norm() < 1.5


def test_gradients_pass_through_residuals() -> None:
    for task in ("advection1d", "darcy2d", "darcy_grf"):
        made = create_task(task, {"resolution": 32})
        solver, info = made.solver(), made.describe(Path())
        assert solver is not None
        assert solver.differentiable
        fields = torch.rand(2, 1, 1, *info.shape, dtype=torch.float64, requires_grad=True)
        static = torch.rand(2, len(info.static_channels), *info.shape, dtype=torch.float64) + 0.1
        state = torch.rand(2, 1, *info.shape, dtype=torch.float64)
        params = torch.ones(2, len(info.parameters), dtype=torch.float64)
        found, _ = solver.residual(fields, Given(state, static, params), info)
        (slope,) = torch.autograd.grad(found.square().sum(), fields)
        assert slope.abs().max() > 0


def test_the_adjoint_is_the_gradient_of_the_solution() -> None:
    """Against finite differences of the solver, for a rough coefficient."""
    from ups_data.solvers.adjoint import solution

    solver, start, info = random_darcy((6, 9), 0.0)
    weights = torch.rand(3, 1, 1, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    static = start.static.clone().requires_grad_()
    (solution(solver, start._replace(static=static), info) * weights).sum().backward()
    assert static.grad is not None
    for place in ((0, 0, 0, 0), (1, 0, 3, 4), (2, 0, 5, 8)):
        step = torch.zeros_like(start.static)
        step[place] = 1e-6 * start.static[place]
        up, down = (
            (solver.solve(start._replace(static=start.static + sign * step), info, 1) * weights).sum()
            for sign in (1, -1)
        )
        slope = (up - down) / (2 * step[place])
        assert float(static.grad[place]) == pytest.approx(float(slope), rel=1e-4)


@settings(deadline=None, max_examples=20)
@over(members=st.integers(1, 6), seed=st.integers(0, 1000))
def test_a_combination_has_a_smaller_error_than_candidates_and_their_mean(members: int, seed: int) -> None:
    solver, start, info = random_darcy((12, 8), 0.02)
    exact = solver.solve(start, info, 1)
    random = torch.Generator().manual_seed(seed)
    errors = torch.randn(members, *exact.shape, generator=random, dtype=torch.float64)
    candidates = exact + exact.abs().mean() * errors
    if members > 3:
        candidates[1] = candidates[0]  # the same twice, which must not matter

    def size(fields: Tensor) -> Tensor:
        return solver.error(fields, start, info).flatten(1).norm(dim=1)

    combined = solver.combine(candidates, start, info)
    for other in (*candidates, candidates.mean(dim=0)):
        assert (size(combined) <= size(other) * (1 + 1e-3)).all()
    if members == 1:
        assert torch.allclose(combined, candidates[0])


def test_a_combination_finds_what_candidates_span() -> None:
    """Two candidates with errors of one shape and different size span the solution."""
    solver, start, info = random_darcy((12, 8), 0.02)
    exact = solver.solve(start, info, 1)
    error = torch.rand(exact.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    combined = solver.combine(torch.stack([exact + error, exact - 0.3 * error]), start, info)
    assert (combined - exact).abs().max() < 1e-6
