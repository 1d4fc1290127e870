"""The vorticity generator: exact vortices, conservation, balances, order, and the grid at every viscosity."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators import vorticity
from ups_data.generators.spectral import Spectrum
from ups_data.generators.vorticity import NATIVE, POINTS, evolve, generate, initial_spectrum
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]
X = (np.arange(POINTS) + 0.5)[:, None] / POINTS
Y = X.T


def info_of(**options: object) -> TaskInfo:
    return create_task("vorticity2d", options).describe(Path())


def frames_of(spectrum: Spectrum, nu: float, count: int, force: float = 0.1, refine: int = 1) -> Array:
    return np.stack([*islice(evolve(spectrum, nu, force, refine), count)])


def started(points: int, number: int = 0) -> Spectrum:
    return NATIVE.resized(initial_spectrum(2022, number), (points, points))


def test_taylor_green_vortices_decay_exactly() -> None:
    """cos kx cos ky transports nothing of itself."""
    k, nu = 2 * np.pi * 2, 1e-3
    vortices = np.cos(k * X) * np.cos(k * Y)
    frames = frames_of(NATIVE.forward(vortices), nu, 4, force=0.0)
    for frame, field in enumerate(frames):
        np.testing.assert_allclose(field, math.exp(-2 * k**2 * nu * frame) * vortices, atol=1e-10)


def test_the_forced_shear_flow_is_exact() -> None:
    """w = g(t) (sin 2π(x + y) + cos 2π(x + y)) from rest: no transport, g' = 0.1 - 8π² ν g."""
    nu, rate = 1e-2, 8 * np.pi**2 * 1e-2
    frames = frames_of(np.zeros((POINTS, POINTS // 2 + 1), dtype=complex), nu, 4)
    shape = np.sin(2 * np.pi * (X + Y)) + np.cos(2 * np.pi * (X + Y))
    for frame, field in enumerate(frames):
        np.testing.assert_allclose(field, 0.1 * -math.expm1(-rate * frame) / rate * shape, atol=1e-10)


def test_mean_vorticity_stays_zero() -> None:
    assert np.abs(frames_of(started(64), 1e-3, 11).mean(axis=(1, 2))).max() < 1e-14


def test_without_force_energy_and_enstrophy_follow_their_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    """d/dt mean |v|²/2 = -ν mean w², d/dt mean w²/2 = -ν mean |∇w|²; frames close in time by Simpson's rule."""
    monkeypatch.setattr(vorticity, "FRAME", 0.05)
    nu, modes = 1e-3, NATIVE
    lively = 30 * initial_spectrum(2022, 0) * modes.kept
    spectra = modes.forward(frames_of(lively, nu, 11, force=0.0))
    square = -modes.laplacian
    inverse = np.where(square == 0, 0, 1 / np.where(square == 0, 1, square))

    def mean_square(factor: Array) -> Array:
        return (modes.backward(np.sqrt(factor) * spectra) ** 2).mean(axis=(1, 2))

    for quantity, lost in ((inverse, np.ones_like(square)), (np.ones_like(square), square)):
        value, rate = mean_square(quantity) / 2, -nu * mean_square(lost)
        gained = 0.05 / 3 * (rate[:-2:2] + 4 * rate[1:-1:2] + rate[2::2])
        np.testing.assert_allclose(np.diff(value[::2]), gained, rtol=1e-3)


def test_transport_is_that_of_the_velocity() -> None:
    """The conservative form against -(v · ∇) w, for fields that N sees completely."""
    kx, ky = NATIVE.wavenumbers
    # Products of these waves are below the cut.
    low = (np.abs(kx) < 2 * np.pi * 10) & (np.abs(ky) < 2 * np.pi * 10)
    w = initial_spectrum(1, 0) * low
    inverse = np.where(NATIVE.laplacian == 0, 0, -1 / np.where(NATIVE.laplacian == 0, 1, NATIVE.laplacian))
    u, v, wx, wy = (
        NATIVE.backward(1j * k * w * f) for k, f in ((ky, inverse), (-kx, inverse), (kx, 1), (ky, 1))
    )
    scheme = vorticity._solver(POINTS, 1e-3, 16, 0.0)
    np.testing.assert_allclose(NATIVE.backward(scheme._nonlinear(w)), -(u * wx + v * wy), atol=1e-13)


def test_steps_converge_with_order_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vorticity, "LEAST", 4)
    monkeypatch.setattr(vorticity, "COURANT", 100.0)
    lively = 30 * started(64)
    fine = frames_of(lively, 1e-3, 2, refine=128)[-1]
    errors = [np.abs(frames_of(lively, 1e-3, 2, refine=r)[-1] - fine).max() for r in (8, 16, 32)]
    orders = [math.log2(coarse / finer) for coarse, finer in pairwise(errors)]
    assert orders == pytest.approx([4, 4], abs=0.5)


def error_of(nu: float, points: int, finer: int, frames: int) -> float:
    plain, fine = (frames_of(started(n), nu, frames)[-1][:: n // 64, :: n // 64] for n in (points, finer))
    return float(np.linalg.norm(plain - fine) / np.linalg.norm(fine))


def test_grid_is_fine_enough() -> None:
    assert error_of(1e-3, 64, 128, 6) < 1e-8
    assert error_of(1e-4, 128, 192, 6) < 1e-6
    assert error_of(1e-4, 64, 192, 6) > 1e-6, "a coarser one is not"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nu", "points", "finer", "frames", "limit"),
    [(1e-3, 64, 128, 51, 1e-7), (1e-4, 128, 256, 21, 1e-6), (1e-5, 256, 384, 21, 2e-4)],
)
def test_long_trajectories_are_accurate(
    nu: float, points: int, finer: int, frames: int, limit: float
) -> None:
    assert error_of(nu, points, finer, frames) < limit


def test_initial_states_have_the_published_spectrum() -> None:
    draws = np.stack([initial_spectrum(0, number) for number in range(300)]) / POINTS**2
    for kx, ky in ((1, 0), (0, 1), (2, 3), (-4, 5)):
        variance = 7**1.5 * (4 * np.pi**2 * (kx**2 + ky**2) + 49) ** -2.5
        assert (np.abs(draws[:, kx, ky]) ** 2).mean() == pytest.approx(variance, rel=0.25)
    assert np.abs(draws[:, 0, 0]).max() == 0


def test_trajectories_depend_on_nothing_but_their_number_and_viscosity() -> None:
    info = info_of(resolution=32, frames=3, time_stride=2)
    every = generate(info, {"nu": 1e-3}, 3, 0, 5).frames
    assert every.shape == (5, 3, 1, 32, 32)
    assert every.dtype == np.float32
    np.testing.assert_array_equal(generate(info, {"nu": 1e-3}, 3, 4, 5).frames[0], every[4])
    native = generate(info_of(resolution=64, frames=5), {"nu": 1e-3}, 3, 4, 5).frames
    np.testing.assert_array_equal(every[4], native[0, ::2, :, ::2, ::2])
    other = generate(info_of(resolution=32, frames=2), {"nu": 1e-4}, 3, 0, 5).frames
    np.testing.assert_allclose(other[:, 0], every[:, 0], atol=1e-7)
    assert np.abs(other[:, 1] - every[:, 1]).max() > 1e-4


def test_points_are_cell_centres_of_the_force() -> None:
    """From rest, the first frame has the shape of the force at the points of the task."""
    info = info_of(resolution=16)
    x, y = np.meshgrid(*info.axes, indexing="ij")
    points = 128
    frames = frames_of(np.zeros((points, points // 2 + 1), dtype=complex), 1e-4, 2)[1][::8, ::8]
    force = np.sin(2 * np.pi * (x + y)) + np.cos(2 * np.pi * (x + y))
    np.testing.assert_allclose(frames / force, frames[0, 0] / force[0, 0], rtol=1e-9)


def test_task_is_generated_and_passes_its_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = create_task("vorticity2d", {"trajectories": 10, "resolution": 16, "frames": 4})
    assert task.prepare_data(tmp_path, Console())["source"] == "generated"
    assert "invariant" not in "".join(capsys.readouterr())


def test_limits_and_sources_are_checked_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(
        UPSError, match="nu 1e-06 is too small for the solver's 256 x 256 points; the smallest"
    ):
        create_task("vorticity2d", {"nu": [1e-3, 1e-6]}).plan_data(tmp_path)
    with pytest.raises(
        UPSError, match="no official files, its data are generated only; use source: generate"
    ):
        create_task("vorticity2d", {"source": "official"}).plan_data(tmp_path)
