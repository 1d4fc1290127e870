"""The Burgers generator agrees with an independent solver, conserves, dissipates and does not depend on its grid."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from ups_core import UsageError
from ups_core.cli.main import main
from ups_data.burgers1d import BURGERS
from ups_data.dataset import prepare_task
from ups_data.family import Request
from ups_data.generators.burgers import _initial, evolve, generate
from ups_data.task import create_task

Array = NDArray[np.float64]


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


def wave(points: int, mean: float = 0.3) -> tuple[Array, Array]:
    """mean + sin(2πx) at cell centres and its exact integrals from each centre to the next."""
    x = (np.arange(points + 1) + 0.5) / points
    potential = mean * x - np.cos(2 * np.pi * x) / (2 * np.pi)
    return mean + np.sin(2 * np.pi * x[:-1]), np.diff(potential)


def test_agrees_with_a_spectral_solver() -> None:
    fields, integrals = _initial(0, 0, 4, 1024)
    for field, cells in zip(fields, integrals, strict=True):
        ours = evolve(field, cells, 0.01 / math.pi, 0.05, 9)[-1]
        theirs = spectral(field, 0.01 / math.pi, 0.4, 1e-4)
        assert np.linalg.norm(ours - theirs) < 1e-6 * np.linalg.norm(theirs)


def test_small_viscosity_agrees_with_a_fine_spectral_solver() -> None:
    viscosity = 0.001 / math.pi
    ours = evolve(*wave(1024), viscosity, 0.05, 6)[-1]  # a shock thinner than a cell of 1/256
    fine, _ = wave(5 * 1024)  # cell centres of 1024 are among those of an odd multiple
    theirs = spectral(fine, viscosity, 0.25, 5e-5)[2::5]
    assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize("nu", [0.01, 0.001])
def test_grid_and_step_do_not_matter(nu: float) -> None:
    viscosity = nu / math.pi
    coarse = evolve(*wave(1024), viscosity, 0.05, 21)[-1]
    fine = evolve(*wave(3 * 1024), viscosity, 0.05, 21)[-1][1::3]
    short = evolve(*wave(1024), viscosity, 0.025, 41)[-1]
    assert np.abs(coarse - fine).max() < 1e-6
    assert np.abs(coarse - short).max() < 1e-6


def test_mean_is_conserved_and_energy_falls() -> None:
    fields, integrals = _initial(1, 0, 6, 1024)
    for field, cells in zip(fields, integrals, strict=True):
        frames = np.stack(evolve(field, cells, 0.01 / math.pi, 0.05, 41))
        assert np.abs(frames.mean(axis=1) - cells.sum()).max() < 1e-5
        energy = (frames**2).mean(axis=1)
        assert np.diff(energy).max() < 1e-7 * energy[0]
        assert frames.max() <= field.max() + 1e-6, "maximum principle"


def test_large_viscosity_is_the_heat_equation() -> None:
    viscosity, time = 0.4, 0.1
    small = 1e-3
    field, cells = wave(1024, mean=0.0)
    found = evolve(small * field, small * cells, viscosity, time, 2)[-1]
    expected = small * field * math.exp(-viscosity * (2 * math.pi) ** 2 * time)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    request = Request(BURGERS, (0.01,), 8, 64, 5, 10)
    every = generate(request, 0.01, 3, 0, 8)["tensor"]
    assert every.shape == (8, 5, 64)
    np.testing.assert_array_equal(generate(request, 0.01, 3, 5, 6)["tensor"][0], every[5])


def test_task_and_file_are_those_of_pdebench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = prepare_task(
        "burgers1d", {"nu": [0.01, 0.1], "trajectories": 10, "resolution": 32, "frames": 3}, tmp_path
    )
    info = data.info
    assert (info.parameters[0].name, info.parameters[0].scale, info.dt) == ("nu", "log", 0.05)
    batch = data.trajectories("test").batch([0])
    assert batch.target.shape == (1, 2, 1, 32)
    options = [
        "--nu",
        "0.1",
        "--trajectories",
        "10",
        "--frames",
        "3",
        "--resolution",
        "64",
        "--out",
        str(tmp_path),
    ]
    assert main(["data", "generate", "burgers1d", *options]) == 0
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    with h5py.File(path) as file:
        assert file["tensor"].shape == (10, 3, 64)
        assert file.attrs["Nu"] == 0.1
    assert main(["data", "inspect", str(path)]) == 0
    assert "layout: burgers1d" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [({"nu": [1e-4]}, "greater than or equal to 0.0005"), ({"nu": [0.1, 0.1]}, "holds a value twice")],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_task("burgers1d", options)
