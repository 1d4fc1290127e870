"""The generator of reaction and diffusion solves Fisher's equation, which official files do not."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators.reaction_diffusion import evolve, generate, initial_state
from ups_data.generators.spectral_limits import MAX_RHO, MIN_NU
from ups_data.generators.waves import initial_waves
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]
NUMBERS = (0, 1, 9, 14, 48, 110)
"""Trajectories of seed 2022: plain, with windows and with kinks; the last two have the largest errors of 200."""


def info_of(**options: int) -> TaskInfo:
    return create_task("reaction_diffusion1d", options).describe(Path())


def frames_of(field: Array, nu: float, rho: float, count: int, refine: int = 1) -> Array:
    """`(count, N)` from values at the points."""
    raw = evolve(field[None], np.fft.rfft(field)[None], nu, rho, refine)
    return np.stack([u[0] for u in islice(raw, count)])


def frames_from_waves(points: int, finer: int, nu: float, rho: float, count: int, refine: int = 1) -> Array:
    """`(count, n, N)` of some initial waves."""
    states = [initial_state(2022, number, points, finer) for number in NUMBERS]
    values, spectra = (np.stack(parts) for parts in zip(*states, strict=True))
    return np.stack(list(islice(evolve(values, spectra, nu, rho, refine), count)))


@given(start=st.floats(0, 1), nu=st.floats(1e-3, 5), rho=st.floats(0, 100))
def test_constants_grow_logistically(start: float, nu: float, rho: float) -> None:
    frames = frames_of(np.full(64, start), nu, rho, 6)
    t = 0.01 * np.arange(6)[:, None]
    exact = start / (start + (1 - start) * np.exp(-rho * t))
    np.testing.assert_allclose(frames, np.broadcast_to(exact, frames.shape), atol=1e-12)


@pytest.mark.parametrize("nu", [0.001, 0.5, 5.0])
def test_without_reaction_waves_decay_as_heat_does(nu: float) -> None:
    x = (np.arange(128) + 0.5) / 128
    waves = {1: 0.3, 2: -0.1, 5: 0.2}
    frames = frames_of(0.5 + sum(a * np.sin(2 * np.pi * k * x) for k, a in waves.items()), nu, 0.0, 4)
    for frame, field in enumerate(frames):
        t = 0.01 * frame
        decayed = {k: a * math.exp(-nu * (2 * np.pi * k) ** 2 * t) for k, a in waves.items()}
        exact = 0.5 + sum(a * np.sin(2 * np.pi * k * x) for k, a in decayed.items())
        np.testing.assert_allclose(field, exact, atol=1e-13)


def test_steps_converge_with_order_two() -> None:
    fine = frames_from_waves(1024, 8, 0.1, 10.0, 6, 16)
    errors = [np.abs(frames_from_waves(1024, 8, 0.1, 10.0, 6, k) - fine).max() for k in (1, 2, 4)]
    orders = [math.log2(coarse / finer) for coarse, finer in pairwise(errors)]
    assert orders == pytest.approx([2, 2], abs=0.15)


@pytest.mark.parametrize("nu", [0.5, 5.0])
@pytest.mark.parametrize("rho", [1.0, 10.0])
def test_published_parameters_are_exact_to_a_millionth(nu: float, rho: float) -> None:
    plain = frames_from_waves(1024, 8, nu, rho, 11)
    assert np.abs(plain - frames_from_waves(1024, 8, nu, rho, 11, 4)).max() < 1e-6
    assert np.abs(plain - frames_from_waves(3072, 9, nu, rho, 11)[:, :, 1::3]).max() < 1e-6


def test_limits_are_where_accuracy_ends() -> None:
    def error(nu: float, rho: float) -> float:
        plain = frames_from_waves(1024, 8, nu, rho, 6)
        return float(np.abs(plain - frames_from_waves(3072, 9, nu, rho, 6)[:, :, 1::3]).max())

    assert error(MIN_NU, MAX_RHO) < 2e-5
    assert error(MIN_NU / 10, MAX_RHO) > 2e-5


def test_values_stay_between_zero_and_one() -> None:
    for nu, rho in ((MIN_NU, 1.0), (MIN_NU, MAX_RHO), (0.5, 10.0)):
        frames = frames_from_waves(1024, 8, nu, rho, 21)
        assert frames.min() > -2e-5, "the error of the grid"
        assert frames.max() < 1 + 1e-8
        assert np.diff(frames.mean(axis=-1), axis=0).min() > 0, "the reaction is not missing"


def test_initial_states_are_the_waves_between_zero_and_one() -> None:
    for number in NUMBERS:
        values, _ = initial_state(2022, number)
        assert (values.min(), values.max()) == (0.0, 1.0)
    waves, x = initial_waves(2022, 0, 1), (np.arange(1024) + 0.5) / 1024
    field = sum(
        waves.cosine[0, f] * np.cos(2 * np.pi * f * x) + waves.sine[0, f] * np.sin(2 * np.pi * f * x)
        for f in range(9)
    )
    assert not waves.absolute[0]
    assert np.isnan(waves.window[0, 0])
    expected = waves.sign[0] * field
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(initial_state(2022, 0)[0], expected, atol=1e-13)
    np.testing.assert_array_equal(initial_state(2022, 14)[0], initial_state(2022, 14, 3072)[0][1::3])


def test_translations_and_mirrors_map_solutions_to_solutions() -> None:
    field = initial_state(2022, 14)[0]
    plain = frames_of(field, 0.01, 5.0, 4)
    np.testing.assert_allclose(frames_of(np.roll(field, 77), 0.01, 5.0, 4), np.roll(plain, 77, 1), atol=1e-13)
    np.testing.assert_allclose(frames_of(field[::-1], 0.01, 5.0, 4), plain[:, ::-1], atol=1e-13)


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    info, parameters = info_of(resolution=64, frames=4, time_stride=2), {"Nu": 0.01, "rho": 5.0}
    every = generate(info, parameters, 3, 0, 21).frames
    assert every.shape == (21, 4, 1, 64)
    assert every.min() >= 0
    assert every.dtype == np.float32
    for number in (0, 7, 20):
        np.testing.assert_array_equal(
            generate(info, parameters, 3, number, number + 1).frames[0], every[number]
        )
    np.testing.assert_array_equal(every[3, 0, 0], initial_state(3, 3)[0][::16].astype(np.float32))
    other = generate(info, {"Nu": 1.0, "rho": 1.0}, 3, 0, 21).frames
    np.testing.assert_array_equal(other[:, 0], every[:, 0])


def test_strided_frames_and_points_are_the_native_ones() -> None:
    parameters = {"Nu": 0.01, "rho": 5.0}
    native = generate(info_of(resolution=1024, frames=7, time_stride=1), parameters, 3, 0, 2).frames
    strided = generate(info_of(resolution=128, frames=3, time_stride=3), parameters, 3, 0, 2).frames
    np.testing.assert_array_equal(strided, native[:, ::3, :, ::8])


def test_task_is_generated_and_passes_its_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"nu": [0.001, 0.5], "rho": [1.0, 10.0], "trajectories": 30, "resolution": 64}
    task = create_task("reaction_diffusion1d", options)
    assert task.prepare_data(tmp_path, Console())["source"] == "generated"
    assert "symmetry" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nu": [0.5, 1e-4]}, "nu 0.0001 is too small for 1024 points; the smallest is 0.0005"),
        ({"rho": [1e3]}, "rho 1000 makes fronts too steep for 1024 points; the largest is 100"),
    ],
)
def test_options_beyond_the_limits_are_refused_before_anything_is_computed(
    options: dict[str, list[float]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UPSError, match=message):
        create_task("reaction_diffusion1d", options).plan_data(tmp_path)
