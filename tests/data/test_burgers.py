"""The Burgers generator agrees with an independent solver, conserves, dissipates and does not depend on its grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from ups_core import UPSError, UsageError
from ups_core.cli.main import main
from ups_data.generators import burgers
from ups_data.generators.burgers import Sampler, State, evolve, generate
from ups_data.generators.burgers_resolution import smallest_nu
from ups_data.generators.waves import initial_waves
from ups_data.info import TaskInfo
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task, prepare_task

Array = NDArray[np.float64]
SMOOTH, KINKED, WINDOWED = (0, 1, 2, 3), (14, 15), (9, 25)
"""Trajectories of seed 2022 by kind: waves alone, with absolute value, with window."""


@cache
def state(number: int, points: int = 1024, finer: int = 8) -> State:
    return Sampler(points, finer).initial_state(initial_waves(2022, number, number + 1))


def spectral(field: Array, viscosity: float, time: float, dt: float) -> Array:
    """Fourier with integrating factor, classical Runge-Kutta, 2/3 de-aliasing."""
    points = len(field)
    k = 2 * np.pi * np.arange(points // 2 + 1)
    half = np.exp(-viscosity * k**2 * dt / 2)
    keep = np.arange(points // 2 + 1) < points // 3

    def slope(u: Array) -> Array:
        product: Array = -0.5j * k * keep * np.fft.rfft(np.fft.irfft(u * keep) ** 2)
        return product

    u = np.fft.rfft(field)
    for _ in range(round(time / dt)):
        a = slope(u)
        b = slope(half * (u + dt / 2 * a))
        c = slope(half * u + dt / 2 * b)
        d = slope(half**2 * u + dt * half * c)
        u = half**2 * u + dt / 6 * (half**2 * a + 2 * half * (b + c) + d)
    return np.fft.irfft(u)


def relative(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(("number", "tolerance"), [(0, 1e-10), (3, 1e-10), (9, 1e-8)])
def test_agrees_with_a_spectral_solver(number: int, tolerance: float) -> None:
    ours = evolve(state(number), 0.01 / math.pi, 0.05, 9)[-1]
    assert relative(ours, spectral(state(number).field, 0.01 / math.pi, 0.4, 1e-4)) < tolerance


def test_small_viscosity_agrees_with_a_fine_spectral_solver() -> None:
    # Native cell centres are among those of an odd multiple. The shock at this time is about one native cell thin.
    ours = evolve(state(0), 0.001 / math.pi, 0.05, 6)[-1]
    theirs = spectral(state(0, 5 * 1024, 1).field, 0.001 / math.pi, 0.25, 5e-5)[2::5]
    assert np.abs(np.diff(ours)).max() > 0.2 * np.ptp(ours)
    assert relative(ours, theirs) < 1e-6


@pytest.mark.parametrize("nu", [0.0005, 0.001, 0.01, 0.1])
@pytest.mark.parametrize(
    ("numbers", "tolerance"), [(SMOOTH[:2], 1e-11), (WINDOWED, 1e-11), (KINKED, 3e-8)], ids=str
)
def test_grid_does_not_matter(nu: float, numbers: tuple[int, ...], tolerance: float) -> None:
    for number in numbers:
        native = evolve(state(number), nu / math.pi, 0.05, 11)
        fine = evolve(state(number, 3 * 1024, 9), nu / math.pi, 0.05, 11)[:, 1::3]
        assert np.abs(native - fine).max() < tolerance


@pytest.mark.parametrize("nu", [0.001, 0.01, 0.1])
def test_steps_windows_and_blocks_do_not_matter(nu: float, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = evolve(state(9), nu / math.pi, 0.05, 9)
    assert np.abs(plain - evolve(state(9), nu / math.pi, 0.01, 41)[::5]).max() < 1e-11
    monkeypatch.setattr(burgers, "WIDTHS", 11.0)
    assert np.abs(plain - evolve(state(9), nu / math.pi, 0.05, 9)).max() < 1e-12
    monkeypatch.setattr(burgers, "STEEPEST", 10.0)
    assert np.abs(plain - evolve(state(9), nu / math.pi, 0.05, 9)).max() < 1e-12


def test_smallest_viscosity_is_where_exactness_ends() -> None:
    """At the limit all is exact, well below it is not."""
    step = 0.02

    def error(nu: float) -> float:
        native = evolve(state(1), nu / math.pi, step, 6)
        fine = evolve(state(1, 3 * 1024, 9), nu / math.pi, step, 6)[:, 1::3]
        return float(np.abs(native - fine).max())

    assert error(smallest_nu(step, 1024)) < 1e-9
    assert error(smallest_nu(step, 1024) / 8) > 1e-6


def test_mean_is_conserved_to_rounding() -> None:
    for number in (*SMOOTH, *KINKED, *WINDOWED):
        frames = evolve(state(number), 0.01 / math.pi, 0.05, 41)
        assert np.abs(frames[1:].mean(axis=1) - state(number).mean).max() < 1e-14


@pytest.mark.parametrize("nu", [0.001, 0.01, 1.0])
def test_energy_and_extremes_fall(nu: float) -> None:
    for number in (*SMOOTH, *KINKED, *WINDOWED):
        # Energy over points that resolve the shocks, so that it is that of the solution.
        fine = 1024 * (3 if nu < 0.01 else 1)
        frames = evolve(state(number, fine), nu / math.pi, 0.05, 11)
        assert np.diff((frames**2).mean(axis=1)).max() < 1e-12
        assert np.diff(frames.max(axis=1)).max() < 1e-12
        assert np.diff(frames.min(axis=1)).min() > -1e-12


def test_large_viscosity_is_the_heat_equation() -> None:
    small, viscosity = 1e-4, 4.0 / math.pi
    waves = state(0)
    tiny = State(small * waves.field, small * waves.potential, small * waves.mean)
    k = 2 * math.pi * np.arange(513)
    for time in (0.01, 0.05):
        expected = np.fft.irfft(np.fft.rfft(tiny.field) * np.exp(-viscosity * k**2 * time))
        assert np.abs(evolve(tiny, viscosity, time, 2)[-1] - expected).max() < 1e-6 * small
    assert np.abs(evolve(waves, viscosity, 1.0, 3)[-1] - waves.mean).max() < 1e-12


def test_series_and_sum_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (*SMOOTH[:2], KINKED[0], WINDOWED[0]):
        series = evolve(state(number), 0.1 / math.pi, 0.05, 5)
        with monkeypatch.context() as patch:
            patch.setattr(burgers, "RANGE", 0.0)
            assert np.abs(evolve(state(number), 0.1 / math.pi, 0.05, 5) - series).max() < 1e-10


def info_of(resolution: int, frames: int, time_stride: int) -> TaskInfo:
    options = {"resolution": resolution, "frames": frames, "time_stride": time_stride}
    return create_task("burgers1d", options).describe(Path())


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    info = info_of(64, 5, 10)
    every = generate(info, {"Nu": 0.01}, 3, 0, 8).frames[:, :, 0]
    assert every.shape == (8, 5, 64)
    assert every.dtype == np.float32
    np.testing.assert_array_equal(generate(info, {"Nu": 0.01}, 3, 5, 6).frames[0, :, 0], every[5])
    np.testing.assert_array_equal(every[:, 0], np.float32([state_of(3, i)[::16] for i in range(8)]))


def state_of(seed: int, number: int) -> Array:
    return Sampler(1024).initial_state(initial_waves(seed, number, number + 1)).field


def test_strided_frames_and_points_are_the_native_ones() -> None:
    native = generate(info_of(1024, 11, 1), {"Nu": 0.01}, 3, 0, 2).frames[:, :, 0]
    strided = generate(info_of(128, 3, 5), {"Nu": 0.01}, 3, 0, 2).frames[:, :, 0]
    np.testing.assert_allclose(strided, native[:, ::5, ::8], rtol=0, atol=1e-6)


def test_official_files_are_read(
    official: Callable[..., Path], task: Callable[..., Task], tmp_path: Path
) -> None:
    for nu in (0.01, 0.1):
        official(nu, kind="burgers1d")
    options = {"nu": [0.01, 0.1], "trajectories": 12, "resolution": 128, "frames": 5, "source": "official"}
    data = prepare_task("burgers1d", options, tmp_path)
    batch = data.trajectories("test").batch([0])
    assert batch.target.shape == (1, 4, 1, 128)
    # Every eighth point and every fifth frame of values that tell where they come from.
    frames = batch.target[0, :, 0, :] - batch.state[0, 0, 0, 0]
    np.testing.assert_allclose(frames[:, 0], 10 * 0.05 * np.arange(1, 5), atol=1e-5)
    np.testing.assert_allclose(np.diff(frames[0]), 8 / 1024 / 10, atol=1e-5)
    assert {round(float(nu), 6) for nu in data.trajectories("train").batch(range(12)).params[:, 0]} <= {
        0.01,
        0.1,
    }
    with pytest.raises(UPSError, match=r"1D_Burgers_Sols_Nu0\.4\.hdf5"):
        task("burgers1d", nu=[0.4], source="official").plan_data(tmp_path)


def test_task_and_file_are_those_of_pdebench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"nu": [0.01, 0.1], "trajectories": 10, "resolution": 32, "frames": 3}
    data = prepare_task("burgers1d", options, tmp_path)
    info = data.info
    assert (info.parameters[0].name, info.parameters[0].scale, info.dt) == ("nu", "log", 0.05)
    assert (info.parameters[0].low, info.parameters[0].high) == (0.01, 0.1)
    assert data.trajectories("test").batch([0]).target.shape == (1, 2, 1, 32)
    size = ["--trajectories", "10", "--frames", "3", "--resolution", "64", "--out", str(tmp_path)]
    assert main(["data", "generate", "burgers1d", "--nu", "0.1", *size]) == 0
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    with h5py.File(path) as file:
        assert file["tensor"].shape == (10, 3, 64)
        assert file["t-coordinate"].shape == (4,)
        assert file.attrs["Nu"] == 0.1
    assert main(["data", "inspect", str(path)]) == 0
    assert "layout: pdebench_tensor" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nu": [1e-5]}, r"nu 1e-05 is too small for time_stride 5 on 1024 points; the smallest is 8\.6e-05"),
        (
            {"nu": [4e-4], "time_stride": 1},
            r"the smallest is 0\.00043, smaller ones need a larger time_stride",
        ),
        ({"nu": [0.1, 0.1]}, "contains a value twice"),
        ({"nu": [0.0]}, "nu: 0: .*greater than 0"),
        ({"nu": []}, "at least 1 item"),
        ({"nu": 0.1}, "nu: .*should be a valid"),
        ({"beta": [0.1]}, "beta"),
        ({"resolution": 100}, "does not divide the native 1024 points"),
        ({"frames": 42}, "end at raw frame 205"),
        ({"history": 41}, "leaves none of 41 frames"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_task("burgers1d", options)


def test_generator_refuses_what_it_cannot_resolve() -> None:
    with pytest.raises(UPSError, match=r"nu = 1e-05 is too small .* the smallest is 8\.6e-05"):
        generate(info_of(64, 3, 5), {"Nu": 1e-5}, 0, 0, 1)
