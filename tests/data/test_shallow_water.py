"""Dam breaks: exact planar solution, radial solution on a fine line, symmetry, mass, thin water, the generator."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import riemann_solutions
from ups_core import UPSError
from ups_data.generators import shallow_water
from ups_data.generators.finite_volume.laws import ShallowWater
from ups_data.generators.finite_volume.scheme import Scheme
from ups_data.generators.shallow_water import dam_break, disc_fractions, generate, radius
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task

Array = NDArray[Any]


def info_of(**options: int) -> TaskInfo:
    return create_task("shallow_water2d", options).describe(Path())


def planar(heights: tuple[float, float], cells: int, time: float) -> Array:
    """Height and velocity `(2, cells)` of still water with a dam in the middle of (-1/2, 1/2)."""
    law, x = ShallowWater(), (np.arange(cells) + 0.5) / cells - 0.5
    start = np.stack([np.where(x < 0, *heights), 0 * x])[None]
    made: list[Array] = []
    Scheme(law, (1 / cells,), "open").march(
        law.conserved(start), time, 2, lambda rows, frame, state: made.append(law.primitive(state)[0])
    )
    return made[0]


def test_a_planar_dam_break_converges_to_the_exact_solution() -> None:
    errors = []
    for cells in (100, 200, 400, 800):
        x = (np.arange(cells) + 0.5) / cells - 0.5
        exact = riemann_solutions.dam(2.0, 1.0, x / 0.25)
        errors.append(np.abs(planar((2.0, 1.0), cells, 0.25) - exact).mean(axis=1))
    assert (errors[-1] < 1e-3).all()
    assert all((np.log2(coarse / fine) > 0.8).all() for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("low", [1e-3, 1e-6])
def test_thin_water_stays_positive(low: float) -> None:
    height, velocity = planar((1.0, low), 400, 0.2)
    assert height.min() > 0
    assert np.isfinite(velocity).all()
    # On a dry bed the front moves with 2 sqrt(h).
    assert np.abs(velocity).max() < 2.2


def front(height: Array) -> float:
    """Distance from the centre, along an axis, of the outermost crossing of half the height of the front."""
    cells = len(height)
    x = ((np.arange(cells) + 0.5) / cells - 0.5) * shallow_water.WIDTH
    line = height[cells // 2, cells // 2 :]
    level = 1 + (line.max() - 1) / 2
    last = int(np.flatnonzero(line > level)[-1])
    share = (line[last] - level) / (line[last] - line[last + 1])
    return float(x[cells // 2 + last] + share * shallow_water.WIDTH / cells)


def test_a_radial_dam_break_is_that_of_the_radial_equation() -> None:
    cells, width = shallow_water.CELLS, shallow_water.WIDTH
    found = dam_break(0.5, 101)
    inner = (np.arange(8) + 0.5) / 8 - 0.5
    places = ((np.arange(cells) + 0.5)[:, None] + inner).ravel() * width / cells - width / 2
    distance = np.hypot(places[:, None], places)
    for frame in (20, 60, 100):
        fine = riemann_solutions.radial_dam(0.5, frame * shallow_water.INTERVAL, width / math.sqrt(2))
        exact = fine(distance).reshape(cells, 8, cells, 8).mean(axis=(1, 3))
        error = np.linalg.norm(found[frame] - exact) / np.linalg.norm(exact)
        print(f"frame {frame}: relative L2 error {error:.4f}")
        assert error < 0.013
        assert np.abs(found[frame] - exact).sum() < 0.07 * np.abs(exact - 1).sum()
        assert front(found[frame]) == pytest.approx(front(exact), abs=width / cells)


def test_averages_of_cells_that_the_circle_crosses() -> None:
    for size in (0.3, 0.5123, 0.7):
        share = disc_fractions(size, 128)
        assert share.sum() * (5 / 128) ** 2 == pytest.approx(math.pi * size**2, rel=1e-12)
        assert (share == share.T).all()
        np.testing.assert_allclose(share, share[::-1], atol=1e-12)
    points = ((np.arange(128 * 32) + 0.5) / (128 * 32) - 0.5) * 5
    counted = np.hypot(points[:, None], points) < 0.7
    np.testing.assert_allclose(share, counted.reshape(128, 32, 128, 32).mean(axis=(1, 3)), atol=0.01)


def test_symmetry_and_mass() -> None:
    """Mass until T = 1: no wave is at the edge before, so nothing leaves."""
    found = dam_break(0.7, 101)
    np.testing.assert_array_equal(found, found.swapaxes(1, 2))
    np.testing.assert_allclose(found, found[:, ::-1], atol=1e-6)
    mass = found.mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(mass, mass[0], rtol=1e-7)
    edge = np.concatenate([found[-1, 0], found[-1, -1]])
    np.testing.assert_array_equal(edge, 1)


def test_every_trajectory_is_its_own() -> None:
    radii = [radius(2022, number) for number in range(500)]
    assert 0.3 <= min(radii) < 0.32
    assert 0.68 < max(radii) <= 0.7
    starts = np.stack([disc_fractions(size, 128).astype(np.float32)[::2, ::2] for size in sorted(radii)])
    assert (starts[1:] != starts[:-1]).any(axis=(1, 2)).all()


def test_bits_depend_on_seed_and_number_alone() -> None:
    info = info_of(resolution=64, frames=6, time_stride=2)
    three = generate(info, {}, 7, 4, 7).frames
    assert three.dtype == np.float32
    assert three.shape == (3, 6, 1, 64, 64)
    np.testing.assert_array_equal(three[2:], generate(info, {}, 7, 6, 7).frames)
    fine = generate(info_of(resolution=128, frames=3, time_stride=4), {}, 7, 5, 6).frames
    np.testing.assert_array_equal(three[1, ::2], fine[0, :, :, ::2, ::2])
    assert (generate(info, {}, 8, 4, 5).frames != three[0]).any()


def test_a_failure_names_its_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow_water, "OUTSIDE", math.nan)
    with pytest.raises(UPSError, match="shallow_water2d: trajectory 3 cannot be computed: a density or"):
        generate(info_of(resolution=16, frames=3), {}, 0, 3, 4)
