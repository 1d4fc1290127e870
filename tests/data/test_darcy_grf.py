"""The generator of Darcy flow between two random materials: its law, its equation, its convergence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ups_data.generators.darcy import darcy_matrix, solve_darcy
from ups_data.generators.darcy_grf import DECAY, POINTS, SMOOTHNESS, WALLS, generate, media
from ups_data.tasks.create import create_task


def info_of(resolution: int):  # type: ignore[no-untyped-def]
    return create_task("darcy_grf", {"resolution": resolution}).describe(Path())


def test_solutions_solve_the_discrete_equation() -> None:
    fields = generate(info_of(32), {}, 0, 0, 3)
    assert fields.static is not None
    for medium, solution in zip(fields.static[:, 0], fields.frames[:, 0, 0], strict=True):
        assert set(np.unique(medium)) == {3.0, 12.0}
        rest = darcy_matrix(medium, (1 / 32, 1 / 32), WALLS) @ solution.astype(np.float64).ravel() - 1
        assert np.abs(rest).max() < 1e-2, "rounding to float32, over the square of the spacing"
        assert solution.min() > 0


def test_the_boundary_is_half_a_spacing_away() -> None:
    """-u'' = 1 between plates: u = x (1 - x) / 2 at the centres of cells, exact for the scheme but for h²/8."""
    points = 64
    x = (np.arange(points) + 0.5) / points
    found = solve_darcy(np.ones((points, 3)), 1.0, (1 / points, np.inf), WALLS)
    np.testing.assert_allclose(found[:, 1], x * (1 - x) / 2, atol=0.13 / points**2)


def test_a_finer_grid_changes_little() -> None:
    """Media that jump inside cells converge slowly; the same waves on every grid."""
    fine = generate(info_of(128), {}, 0, 0, 4).frames[:, 0, 0]
    coarse = generate(info_of(64), {}, 0, 0, 4).frames[:, 0, 0]
    averaged = fine.reshape(4, 64, 2, 64, 2).mean(axis=(2, 4))
    error = np.linalg.norm(coarse - averaged, axis=(1, 2)) / np.linalg.norm(averaged, axis=(1, 2))
    assert error.max() < 0.02


def test_the_field_has_the_stated_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign of a Gaussian field hides its size, so the field itself is looked at."""
    seen = []

    def spy(waves: np.ndarray, norm: str) -> np.ndarray:
        seen.append(waves)
        return np.asarray(waves)

    monkeypatch.setattr("ups_data.generators.darcy_grf.idctn", spy)
    media(0, 0, 400, 8)
    measured = np.stack(seen).std(axis=0)
    wave = (np.pi * np.arange(8)) ** 2
    expected = (wave[:, None] + wave + DECAY**2) ** (-SMOOTHNESS / 2)
    expected[0, 0] = 0
    np.testing.assert_allclose(measured, expected, rtol=0.15, atol=1e-12)


def test_half_of_the_cells_are_of_each_material() -> None:
    share = (media(1, 0, 400, 16) == 12).mean()
    assert 0.45 < share < 0.55


def test_media_depend_on_seed_and_number_alone() -> None:
    together = media(5, 0, 6, 32)
    np.testing.assert_array_equal(together[3:5], media(5, 3, 5, 32))
    assert not np.array_equal(together[3], media(6, 3, 4, 32)[0])
    assert POINTS == 128
