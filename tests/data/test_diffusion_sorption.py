"""The generator of diffusion with sorption solves PDEBench's semi-discrete equations."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.sparse import diags_array
from scipy.special import erfc

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators import diffusion_sorption
from ups_data.generators.diffusion_sorption import (
    DIFFUSIVITY,
    evolve,
    generate,
    initial_value,
    slope,
)
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]


def info_of(**options: int) -> TaskInfo:
    return create_task("diffusion_sorption1d", options).describe(Path())


def retardation(u: Array) -> Array:
    """Of Freundlich's isotherm, from its constants."""
    return 1 + (1 - 0.29) / 0.29 * 2880 * 3.5e-4 * 0.874 * (u + 1e-6) ** (0.874 - 1)


def matrix_slope(points: int) -> tuple[Array, Array]:
    """D times the second differences with their boundary values: a matrix and a vector."""
    scale = DIFFUSIVITY * points**2
    matrix = diags_array([scale, -2 * scale, scale], offsets=[-1, 0, 1], shape=(points, points)).toarray()
    source = np.zeros(points)
    source[0] = scale  # u = 1 in the left ghost cell
    matrix[-1, -2:] += scale * DIFFUSIVITY * points * np.array([1.0, -1.0])
    return matrix, source


def test_right_hand_side_is_that_of_the_equation() -> None:
    matrix, source = matrix_slope(32)
    u = np.random.default_rng(0).random(32)
    np.testing.assert_allclose(slope(32)(0.0, u), (matrix @ u + source) / retardation(u), rtol=1e-12)


@pytest.mark.parametrize("initial", [1e-3, 0.1, 0.2])
def test_agrees_with_an_implicit_runge_kutta_method(initial: float) -> None:
    points = 256
    matrix, source = matrix_slope(points)

    def rates(_: float, u: Array) -> Array:
        change: Array = (matrix @ u + source) / retardation(u)
        return change

    times = np.array([0.0, 5.0, 50.0, 500.0])
    found = solve_ivp(rates, (0, 500), np.full(points, initial), "Radau", t_eval=times, rtol=1e-9, atol=1e-12)
    ours = evolve(initial, points)[[0, 1, 10, 100]]
    assert np.abs(ours - found.y.T).max() < 1e-6


def test_without_sorption_a_front_enters_as_an_error_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it reaches the other end: u = c + (1 - c) erfc(x / √(4Dt)), from the centre of the ghost cell."""
    monkeypatch.setattr(diffusion_sorption, "SORPTION", 0.0)
    points, start = 512, 0.1
    frames = evolve(start, points)
    x = (np.arange(points) + 1) / points
    for frame in (1, 2, 4):
        exact = start + (1 - start) * erfc(x / math.sqrt(4 * DIFFUSIVITY * 5 * frame))
        left = x < 0.3
        assert np.abs(frames[frame] - exact)[left].max() < 2e-4


def test_grid_converges_with_order_one_at_the_ends() -> None:
    fine = evolve(0.1, 27 * 64)[1:]
    errors = [
        np.abs(evolve(0.1, 64 * m)[1:] - fine[:, (27 // m) // 2 :: 27 // m][:, : 64 * m]).mean()
        for m in (1, 3, 9)
    ]
    orders = [math.log(coarse / finer, 3) for coarse, finer in pairwise(errors)]
    assert all(0.8 < order < 1.6 for order in orders), orders


def test_native_grid_is_a_few_thousandths_off_the_continuous_problem() -> None:
    """In the norm over all frames; most of it beside the inflow, where the front is steep at first."""
    ours, fine = evolve(0.1)[1:], evolve(0.1, 9 * 1024)[1:, 4::9]
    assert 1e-3 < np.linalg.norm(ours - fine) / np.linalg.norm(fine) < 2e-3
    assert np.abs(ours - fine).max() < 1e-2


def test_values_stay_between_zero_and_one_and_rise_near_the_inflow() -> None:
    for initial in (1e-9, 1e-3, 0.2):
        frames = evolve(initial)
        assert frames.min() > 0
        assert frames.max() < 1
        assert np.diff(frames[:, 0]).min() > 0
        assert frames[-1, -1] < 0.01 * max(initial, 0.1), "what arrives flows out"


def test_initial_states_are_constants_below_a_fifth() -> None:
    values = np.array([initial_value(1, number) for number in range(2000)])
    assert 0 < values.min() < 1e-3
    assert 0.199 < values.max() <= 0.2
    assert values.mean() == pytest.approx(0.1, abs=0.005)


def test_trajectories_do_not_depend_on_selection_or_number() -> None:
    every = generate(info_of(resolution=64, frames=21, time_stride=5), {}, 3, 0, 4).frames
    assert every.shape == (4, 21, 1, 64)
    assert every.dtype == np.float32
    np.testing.assert_array_equal(every[2, 0], np.float32(initial_value(3, 2)))
    few = generate(info_of(resolution=16, frames=3, time_stride=10), {}, 3, 2, 3).frames
    np.testing.assert_array_equal(few[0], every[2, :5:2, :, ::4])


def test_a_failed_solution_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(success=False, message="step too small")
    monkeypatch.setattr(diffusion_sorption, "solve_ivp", lambda *_, **__: failed)
    with pytest.raises(UPSError, match=r"no solution from u = 0\.1 \(step too small\)"):
        evolve(0.1)


def test_task_is_generated_and_passes_its_audit(tmp_path: Path) -> None:
    task = create_task("diffusion_sorption1d", {"trajectories": 10, "resolution": 64})
    assert task.prepare_data(tmp_path, Console(quiet=True))["source"] == "generated"
    assert task.open(tmp_path).trajectories("test").batch([0]).target.shape == (1, 20, 1, 64)
