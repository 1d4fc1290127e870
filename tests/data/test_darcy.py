"""The Darcy generator solves its discrete equations exactly, and the continuous ones to second order."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ups_data.generators.darcy import darcy_matrix, generate, media, solve_darcy
from ups_data.info import TaskInfo
from ups_data.tasks.create import create_task


def test_discrete_residual() -> None:
    for field in media(3, 0, 3):
        spacing = (1 / 128, 1 / 128)
        solution = solve_darcy(field, 1.0, spacing)
        assert np.abs(darcy_matrix(field, spacing) @ solution.ravel() - 1).max() < 1e-9
        assert solution.min() > 0


def test_discrete_eigenfunction_of_a_constant_medium() -> None:
    nx, ny = 12, 20
    h = (1 / (nx + 1), 1 / (ny + 1))
    x, y = np.arange(1, nx + 1)[:, None] * h[0], np.arange(1, ny + 1) * h[1]
    mode = np.sin(2 * np.pi * x) * np.sin(3 * np.pi * y)
    eigenvalue = (
        4 / h[0] ** 2 * math.sin(np.pi * h[0]) ** 2 + 4 / h[1] ** 2 * math.sin(1.5 * np.pi * h[1]) ** 2
    )
    solution = solve_darcy(np.full((nx, ny), 0.3), 0.3 * eigenvalue * mode, h)
    np.testing.assert_allclose(solution, mode, atol=1e-12)


def manufactured_error(n: int) -> float:
    """Largest error for a = 1 + x²y/2 and u = sin πx sin πy on n² interior points of the unit square."""
    h = 1 / (n + 1)
    x, y = np.arange(1, n + 1)[:, None] * h, np.arange(1, n + 1) * h
    a = 1 + x**2 * y / 2
    sx, cx, sy, cy = (f(np.pi * z) for z in (x, y) for f in (np.sin, np.cos))
    source = 2 * np.pi**2 * a * sx * sy - np.pi * (x * y * cx * sy + x**2 / 2 * sx * cy)
    return float(np.abs(solve_darcy(a, source, (h, h)) - sx * sy).max())


def test_smooth_coefficients_converge_with_order_two() -> None:
    errors = [manufactured_error(n) for n in (15, 31, 63)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert orders == pytest.approx([2, 2], abs=0.1)
    assert errors[-1] < 1e-3


def layered(n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Cells of (0, 1) with a jump from 0.1 to 1 at one half, ghosts outside; positions and width."""
    h = 1 / n
    x = (np.arange(n) + 0.5) * h
    return np.where(x < 0.5, 0.1, 1.0), x, h


def test_layers_match_the_closed_form_of_the_discrete_problem() -> None:
    h = 1 / 40
    a = np.random.default_rng(0).uniform(0.1, 1, size=40)
    faces = 0.5 * (np.append(a, a[-1]) + np.insert(a, 0, a[0]))
    # Flux of face i is q - ihf; u rises by -h·flux/a over each face and returns to 0 at the far ghost.
    fall = np.arange(41) * h
    q = (fall / faces).sum() / (1 / faces).sum()
    u = np.cumsum(h * (q - fall) / faces)[:-1]
    medium = np.repeat(a[:, None], 3, axis=1)
    np.testing.assert_allclose(
        solve_darcy(medium, 1.0, (h, math.inf)), np.repeat(u[:, None], 3, 1), rtol=1e-10
    )


def test_layers_converge_to_the_analytic_solution() -> None:
    def error(n: int) -> float:
        a, x, h = layered(n)
        # -(a u')' = 1, u(0) = u(1) = 0: a u' = q - x, with q from the condition at 1.
        q = (0.125 / 0.1 + 0.375 / 1.0) / (0.5 / 0.1 + 0.5 / 1.0)
        left = (q * x - x**2 / 2) / 0.1
        middle = (q * 0.5 - 0.125) / 0.1
        exact = np.where(x < 0.5, left, middle + (q * x - x**2 / 2) - (q * 0.5 - 0.125))
        return float(np.abs(solve_darcy(np.stack([a, a], 1), 1.0, (h, math.inf))[:, 0] - exact).max())

    # Arithmetic faces and ghosts half a cell outside, as in PDEBench, leave a first-order error.
    assert error(64) / error(128) == pytest.approx(2, abs=0.2)
    assert error(128) < 0.02


def test_axes_are_treated_alike() -> None:
    field = media(4, 5, 6, points=32)[0]
    h = (1 / 32, 1 / 32)
    np.testing.assert_allclose(solve_darcy(field.T, 1.0, h), solve_darcy(field, 1.0, h).T, atol=1e-12)


def test_media_are_pdebench_s_family() -> None:
    fields = media(2022, 0, 200)
    assert set(np.unique(fields)) == {np.float32(0.1), np.float32(1.0)}
    share = (fields == 1).mean(axis=(1, 2))
    assert share.mean() == pytest.approx(0.49, abs=0.03)
    assert share.min() >= 0.01
    assert share.max() <= 0.99


def info_of(resolution: int) -> TaskInfo:
    return create_task("darcy2d", {"resolution": resolution}).describe(Path())


def test_samples_do_not_depend_on_how_many_are_made() -> None:
    info, beta = info_of(64), {"beta": 1.0}
    many, part = generate(info, beta, 9, 195, 203), generate(info, beta, 9, 199, 202)
    for every, some in zip(many, part, strict=True):
        assert np.array_equal(every[4:7], some)
    assert not np.array_equal(many.static, generate(info, beta, 8, 195, 203).static)


def test_stride_and_source_strength() -> None:
    coarse = generate(info_of(64), {"beta": 1.0}, 1, 0, 2)
    native = generate(info_of(128), {"beta": 10.0}, 1, 0, 2)
    assert np.array_equal(coarse.static, native.static[..., ::2, ::2])
    np.testing.assert_allclose(10 * coarse.frames, native.frames[..., ::2, ::2], rtol=1e-6)
    assert native.frames.shape == (2, 1, 1, 128, 128)
    assert native.frames.dtype == np.float32


def on_nodes(field: np.ndarray, refinement: int, first: float) -> np.ndarray:
    """u at the cell centres from a grid `refinement` times finer, zero at `first` and `1 - first`.

    Nodes take the coefficient of their cell, on an interface the mean of both; cells continue beyond the edge.
    """
    cells = len(field)
    step = 1 / (cells * refinement)
    place = np.arange(first + step, 1 - first - step / 2, step) * cells
    low, high = (np.clip(np.floor(place + side).astype(int), 0, cells - 1) for side in (-1e-6, 1e-6))
    medium = (
        field[np.ix_(low, low)]
        + field[np.ix_(low, high)]
        + field[np.ix_(high, low)]
        + field[np.ix_(high, high)]
    ) / 4
    solution = solve_darcy(medium, 1.0, (step, step))
    centres = np.rint(((np.arange(cells) + 0.5) / cells - first) / step).astype(int) - 1
    return solution[np.ix_(centres, centres)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "lowest", "highest"),
    [(-0.5 / 128, 0.004, 0.009), (0.0, 0.025, 0.04)],
    ids=["zero at the ghost centres", "zero on the edge"],
)
def test_how_far_generated_files_are_from_the_equation(first: float, lowest: float, highest: float) -> None:
    """The numbers in docs/data.md: mean relative error over media, against a four times finer grid."""
    errors = []
    for field in media(2022, 0, 4):
        found, exact = solve_darcy(field, 1.0, (1 / 128, 1 / 128)), on_nodes(field, 4, first)
        errors.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    print(f"{100 * np.mean(errors):.2f} %")
    assert lowest < np.mean(errors) < highest
