"""The Kuramoto-Sivashinsky generator: growth rates, conservation, order, and how long a solution is that of its start."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_data.generators.kuramoto_sivashinsky import STEPS, evolve, generate, initial_state
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[np.float64]


def info_of(**options: int) -> TaskInfo:
    return create_task("kuramoto_sivashinsky1d", options).describe(Path())


def frames_of(initial: Array, count: int, steps: int = STEPS) -> Array:
    """`(count, n, N)`."""
    return np.stack([*islice(evolve(initial, steps), count)])


def starts(count: int, points: int = 256) -> Array:
    return np.stack([initial_state(2022, number, points) for number in range(count)])


@pytest.mark.parametrize("wave", [1, 5, 7, 10, 12, 20])
def test_small_waves_grow_and_decay_at_their_rate(wave: int) -> None:
    k = 2 * np.pi * wave / 64
    x = (np.arange(256) + 0.5) / 4
    mode = np.sin(k * x)
    frames = frames_of(1e-8 * mode[None], 5)[:, 0]
    for frame, field in enumerate(frames):
        exact = 1e-8 * math.exp((k**2 - k**4) * 0.5 * frame) * mode
        np.testing.assert_allclose(field, exact, atol=1e-15)


def test_mean_is_conserved() -> None:
    shifted = starts(4) + np.array([[0.0], [0.1], [-0.5], [1.0]])
    means = frames_of(shifted, 101).mean(axis=-1)
    assert np.abs(means - means[0]).max() < 1e-13


def test_a_moving_frame_moves_the_solution() -> None:
    """u(x - ct) + c solves the equation, too; c t is a number of cells at every frame."""
    start = starts(1)
    plain, moving = frames_of(start, 21)[:, 0], frames_of(start + 0.5, 21)[:, 0]
    for frame in range(21):
        np.testing.assert_allclose(moving[frame], np.roll(plain[frame], frame) + 0.5, atol=1e-5)


def test_energy_follows_its_balance() -> None:
    """d/dt mean(u²)/2 = mean(u_x² - u_xx²); by Simpson's rule over pairs of frames."""
    k = 2 * np.pi / 64 * np.arange(129)
    dense = frames_of(frames_of(starts(3), 81)[-1], 21, 40)
    spectrum = np.fft.rfft(dense)
    slope, curve = np.fft.irfft(1j * k * spectrum), np.fft.irfft(-(k**2) * spectrum)
    energy, change = (dense**2).mean(-1) / 2, (slope**2 - curve**2).mean(-1)
    gained = 0.5 / 3 * (change[:-2:2] + 4 * change[1:-1:2] + change[2::2])
    assert np.abs(np.diff(energy[::2], axis=0)).max() > 0.01
    np.testing.assert_allclose(np.diff(energy[::2], axis=0), gained, atol=1e-3)


def test_steps_converge_with_order_four() -> None:
    fine = frames_of(starts(4), 11, 320)
    errors = [np.abs(frames_of(starts(4), 11, steps) - fine).max() for steps in (20, 40, 80)]
    orders = [math.log2(coarse / finer) for coarse, finer in pairwise(errors)]
    assert orders == pytest.approx([4, 4], abs=0.4)


def test_state_is_accurate_until_a_stated_time() -> None:
    """Errors grow with the chaos: below 1e-5 until t = 20, 1e-3 until t = 50; the grid adds nothing."""
    plain, fine = frames_of(starts(16), 101), frames_of(starts(16), 101, 80)
    error = np.abs(plain - fine).max(axis=(1, 2))
    assert error[:41].max() < 1e-5
    assert error.max() < 1e-3
    finer = frames_of(starts(16, 768), 41)[:, :, 1::3]
    assert np.abs(plain[:41] - finer).max() < 1e-9


def test_neighbours_separate_exponentially() -> None:
    """By a few e-foldings in 50 times, so longer trajectories are not those of their rounded first frame."""
    start = starts(8)
    near = frames_of(start * (1 + 1e-9), 201) - frames_of(start, 201)
    size = np.sqrt((near**2).mean(axis=-1))
    rate = np.log(size[200] / size[80]) / 60
    assert 0.04 < rate.mean() < 0.15


def test_translations_and_odd_mirrors_map_solutions_to_solutions() -> None:
    start = starts(2)
    plain = frames_of(start, 21)
    np.testing.assert_allclose(frames_of(np.roll(start, 9, 1), 21), np.roll(plain, 9, 2), atol=1e-10)
    np.testing.assert_allclose(frames_of(-start[:, ::-1], 21), -plain[:, :, ::-1], atol=1e-10)
    assert np.abs(frames_of(-start, 21) + plain).max() > 0.1, "a sign alone does not"


def test_trajectories_do_not_depend_on_how_many_are_made() -> None:
    info = info_of(resolution=64, frames=5, time_stride=2)
    every = generate(info, {}, 3, 0, 21).frames
    assert every.shape == (21, 5, 1, 64)
    assert every.dtype == np.float32
    for number in (0, 7, 20):
        np.testing.assert_array_equal(generate(info, {}, 3, number, number + 1).frames[0], every[number])
    np.testing.assert_array_equal(every[3, 0, 0], initial_state(3, 3)[::4].astype(np.float32))
    native = generate(info_of(resolution=256, frames=9, time_stride=1), {}, 3, 0, 21).frames
    np.testing.assert_array_equal(every, native[:, ::2, :, ::4])


def test_task_is_generated_and_passes_its_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = create_task("kuramoto_sivashinsky1d", {"trajectories": 40, "resolution": 64})
    assert task.prepare_data(tmp_path, Console())["source"] == "generated"
    said = "".join(capsys.readouterr())
    assert "symmetry" not in said
    assert "invariant" not in said


def test_there_are_no_official_files(tmp_path: Path) -> None:
    task = create_task("kuramoto_sivashinsky1d", {"source": "official"})
    with pytest.raises(
        UPSError, match="no official files, its data are generated only; use source: generate"
    ):
        task.plan_data(tmp_path)
