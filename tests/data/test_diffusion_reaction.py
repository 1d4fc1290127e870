"""The FitzHugh-Nagumo generator solves PDEBench's semi-discrete equations; only its time steps are approximate."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators import diffusion_reaction
from ups_data.generators.diffusion_reaction import DU, DV, STAGES, K, evolve, generate, initial_state
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]


def info_of(**options: int) -> TaskInfo:
    return create_task("diffusion_reaction2d", options).describe(Path())


def frames_of(initial: Array, count: int, refine: int = 1) -> Array:
    """`(count, 2, N, N)` of one trajectory."""
    return np.stack([states[0].copy() for states in islice(evolve(initial[None], refine), count)])


def slope(state: Array) -> Array:
    """The equations, written with ghost cells."""
    u, v = state
    padded = np.pad(state, ((0, 0), (1, 1), (1, 1)), mode="edge")
    inner = (slice(None), slice(1, -1), slice(1, -1))
    laplacian = sum(np.roll(padded, shift, axis)[inner] - state for axis in (1, 2) for shift in (-1, 1))
    laplacian = laplacian * (len(u) / 2) ** 2
    return np.stack([DU * laplacian[0] + u - u**3 - K - v, DV * laplacian[1] + u - v])


def test_agrees_with_an_adaptive_method_of_order_eight() -> None:
    initial, frames = initial_state(2022, 3), 41

    def right_side(_: float, y: Array) -> Array:
        return slope(y.reshape(initial.shape)).ravel()

    times = 0.05 * np.arange(frames)
    found = solve_ivp(
        right_side, (0, times[-1]), initial.ravel(), "DOP853", t_eval=times, rtol=1e-9, atol=1e-12
    )
    expected = found.y.T.reshape(frames, *initial.shape)
    assert np.abs(frames_of(initial, frames) - expected).max() < 1e-5


def test_steps_converge_with_order_four() -> None:
    # Steps of the late kind, from a state that has lost its noise.
    start = frames_of(initial_state(0, 0)[:, :32, :32], 11)[-1]
    fine = frames_of(start, 3, 32)[-1]
    errors = [np.abs(frames_of(start, 3, refine)[-1] - fine).max() for refine in (1, 2, 4)]
    orders = [math.log2(coarse / finer) for coarse, finer in pairwise(errors)]
    assert orders == pytest.approx([4, 4], abs=0.3)


def test_scheme_is_stable_for_the_longest_step() -> None:
    def growth(z: float) -> float:
        state, change = 1.0, 0.0
        for remains, share in STAGES:
            change = remains * change + z * state
            state += share * change
        return abs(state)

    stiffest = (8 * DV * 64**2 + 1) * diffusion_reaction.FRAME / diffusion_reaction.LEAST
    assert 4.0 < stiffest < 4.65
    assert max(growth(-z) for z in np.linspace(0, stiffest, 100)) <= 1.0
    assert growth(-4.7) > 1.0


def test_without_reaction_a_cosine_decays_with_its_discrete_eigenvalue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small u feels no cube; the linear problem u' = (1 - a) u - v, v' = u - (1 + b) v has a closed form."""
    monkeypatch.setattr(diffusion_reaction, "K", 0.0)
    n, wave, small = 16, 3, 1e-6
    mode = np.cos(np.pi * wave * (np.arange(n) + 0.5) / n)[:, None] * np.ones(n)
    eigenvalue = (n / 2) ** 2 * 4 * math.sin(np.pi * wave / 2 / n) ** 2
    matrix = np.array([[1 - DU * eigenvalue, -1], [1, -1 - DV * eigenvalue]])
    values, vectors = np.linalg.eig(matrix)
    coefficients = np.linalg.solve(vectors, [1.0, 0.5])
    frames = frames_of(small * np.stack([mode, 0.5 * mode]), 21)
    exact = (vectors @ (coefficients * np.exp(values))).real
    np.testing.assert_allclose(frames[-1] / small, exact[:, None, None] * mode, atol=1e-8)


def test_means_change_by_reaction_alone() -> None:
    """No flux through edges: the mean of v follows (mean of u) - (mean of v)."""
    means = frames_of(initial_state(1, 1), 41, 4).mean(axis=(2, 3))
    # Simpson's rule over pairs of frames, after the fast start.
    u, v = means[20:].T
    change = u - v
    gained = 0.05 / 3 * (change[:-2:2] + 4 * change[1:-1:2] + change[2::2])
    np.testing.assert_allclose(v[2::2] - v[:-2:2], gained, atol=1e-9)


def test_mirrors_and_exchanged_axes_map_solutions_to_solutions() -> None:
    initial = initial_state(5, 0)
    plain = frames_of(initial, 11)
    np.testing.assert_allclose(frames_of(initial[:, ::-1], 11), plain[:, :, ::-1], atol=1e-13)
    np.testing.assert_allclose(frames_of(initial.swapaxes(1, 2), 11), plain.swapaxes(2, 3), atol=1e-13)


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    info = info_of(resolution=32, frames=3, time_stride=2)
    every = generate(info, {}, 3, 0, 11).frames
    assert every.shape == (11, 3, 2, 32, 32)
    assert every.dtype == np.float32
    np.testing.assert_array_equal(generate(info, {}, 3, 9, 10).frames[0], every[9])
    np.testing.assert_array_equal(every[4, 0], initial_state(3, 4)[:, ::4, ::4].astype(np.float32))


def test_strided_frames_and_points_are_the_native_ones() -> None:
    native = generate(info_of(resolution=128, frames=5, time_stride=1), {}, 3, 0, 1).frames
    strided = generate(info_of(resolution=16, frames=3, time_stride=2), {}, 3, 0, 1).frames
    np.testing.assert_array_equal(strided, native[:, ::2, :, ::8, ::8])


def test_values_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffusion_reaction, "FIRST", 1)
    monkeypatch.setattr(diffusion_reaction, "LEAST", 1)
    with pytest.raises(UPSError, match="trajectory 4 has values that are not"):
        generate(info_of(resolution=32, frames=3, time_stride=50), {}, 3, 4, 5)


def test_task_is_generated_and_passes_its_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = create_task(
        "diffusion_reaction2d", {"trajectories": 30, "resolution": 32, "frames": 6, "time_stride": 4}
    )
    assert task.prepare_data(tmp_path, Console())["source"] == "generated"
    assert "symmetry" not in "".join(capsys.readouterr())
    assert (
        task.open(tmp_path).trajectories("test").batch([0]).target[0, -1].abs().max() < 2
    )  # bounded by the cube
