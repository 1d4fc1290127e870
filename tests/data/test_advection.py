"""The advection generator gives exact periodic translates of PDEBench's initial waves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ups_data.generators.advection import evaluate
from ups_data.generators.waves import Waves, initial_waves

X = (np.arange(1024) + 0.5) / 1024


def smooth(waves: Waves) -> Waves:
    """The same waves without kinks and windows."""
    return replace(waves, absolute=waves.absolute & False, window=np.full_like(waves.window, np.nan))


def test_whole_cell_shifts_are_rolls() -> None:
    cells = np.array([0, 1, 100, 1023, 5000])
    solution = evaluate(initial_waves(1, 0, 100), 1.0, cells / 1024, X)
    for frame, shift in enumerate(cells):
        np.testing.assert_allclose(solution[:, frame], np.roll(solution[:, 0], shift, axis=-1), atol=2e-6)


def test_smooth_waves_are_fft_phase_shifts() -> None:
    waves, beta, times = smooth(initial_waves(2, 0, 50)), 0.7, np.array([0.0, 0.013, 0.5, 2.0])
    solution = evaluate(waves, beta, times, X)
    spectrum = np.fft.rfft(solution[:, :1].astype(float))
    shifts = np.exp(-2j * np.pi * np.arange(513) * (beta * times)[:, None])
    scale = np.abs(solution).max()
    assert np.abs(np.fft.irfft(spectrum * shifts) - solution).max() < 1e-6 * scale


def test_mean_and_norm_are_conserved() -> None:
    solution = evaluate(smooth(initial_waves(3, 0, 50)), 0.4, np.arange(0, 2, 0.05), X).astype(float)
    mean, norm = solution.mean(axis=-1), np.sqrt((solution**2).mean(axis=-1))
    assert np.abs(mean - mean[:, :1]).max() < 1e-6
    assert np.abs(norm / norm[:, :1] - 1).max() < 1e-6


def test_initial_condition_is_the_published_formula() -> None:
    waves = initial_waves(7, 0, 60)
    solution = evaluate(waves, 1.0, [0.0], X)
    kinds = set()
    for i in range(60):
        draw = np.random.default_rng((7, i)).random(15)
        chosen = [1 + int(4 * draw[0]), 1 + int(4 * draw[1])]
        total = np.zeros_like(X)
        for n in range(1, 5):
            k = 2 * math.pi * n * chosen.count(n)
            total += draw[1 + n] * np.sin(k * X + 2 * math.pi * draw[5 + n])
        if draw[10] < 0.1:
            total = np.abs(total)
        total *= -1 if draw[11] < 0.5 else 1
        if draw[12] < 0.1:
            left, right = 0.1 + 0.35 * draw[13], 0.55 + 0.35 * draw[14]
            total *= (np.tanh((X - left) / 0.01) - np.tanh((X - right) / 0.01)) / 2
        kinds.add((bool(draw[10] < 0.1), bool(draw[12] < 0.1), chosen[0] == chosen[1]))
        np.testing.assert_allclose(solution[i, 0], total, atol=2e-6)
    assert len(kinds) >= 5


def test_family_has_the_published_frequencies() -> None:
    waves = initial_waves(2022, 0, 4000)
    assert waves.absolute.mean() == pytest.approx(0.1, abs=0.02)
    assert np.isfinite(waves.window[:, 0]).mean() == pytest.approx(0.1, abs=0.02)
    assert (waves.sign > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (waves.cosine[:, 8] != 0).mean() == pytest.approx(1 / 16, abs=0.015)
    assert (waves.cosine[:, 0] != 0).all()


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    times = np.arange(4) / 10
    many = evaluate(initial_waves(5, 0, 40), 0.4, times, X)
    part = evaluate(initial_waves(5, 30, 40), 0.4, times, X)
    assert np.array_equal(many[30:], part)
    assert not np.allclose(many[:10], evaluate(initial_waves(6, 0, 10), 0.4, times, X))


def test_strided_points_are_the_native_ones() -> None:
    waves, times = initial_waves(5, 0, 40), np.arange(21) / 100
    native = evaluate(waves, 2.0, times, X)
    np.testing.assert_allclose(evaluate(waves, 2.0, times[::5], X[::8]), native[:, ::5, ::8], atol=2e-6)
