"""Steady Darcy flow -∇·(a∇u) = f on PDEBench's two-material media, solved by sparse factorisation.

The discretisation is PDEBench's: cell-centred 5-point finite volumes, arithmetic mean of a on faces, and
u = 0 at the centres of the ghost cells, half a cell outside the square. Unlike PDEBench's files, which hold
a transient state at t = 1.75, u is the steady solution to machine precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ups_core.cpus import available_cores
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

POINTS = 128
"""Cells of the native grid along each axis."""
GAUSSIANS = 5
BATCH = 200
LOW, HIGH = np.float32(0.1), np.float32(1.0)
MINORITY = 0.01
Walls = tuple[tuple[float, float], tuple[float, float]]
"""Distances of the outermost points from the boundary at the low and the high end of x and y, in spacings."""
NATIVE_WALLS: Walls = ((1.0, 1.0), (1.0, 1.0))
"""Those of PDEBench's grid."""


def solve_darcy(
    coefficient: NDArray[np.floating],
    source: float | NDArray[np.floating],
    spacing: tuple[float, float],
    walls: Walls = NATIVE_WALLS,
) -> NDArray[np.float64]:
    """Solve -∇·(a∇u) = f with u = 0 outside the outermost points.

    Args:
        coefficient: a > 0 at the points, `(nx, ny)`.
        source: f at the points `(nx, ny)`, or a constant.
        spacing: distance between neighbouring points along x and y; infinity decouples that axis.
        walls: distances of the outermost points from the boundary.

    Returns:
        u `(nx, ny)`.
    """
    shape = coefficient.shape
    load = np.broadcast_to(np.asarray(source, dtype=np.float64), shape).ravel()
    # SuperLU's fastest settings for these matrices, which are symmetric positive definite: minimum degree on
    # the symmetric pattern, no pivoting.
    factors = splu(
        darcy_matrix(coefficient, spacing, walls),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        panel_size=8,
        options={"SymmetricMode": True},
    )
    solution: NDArray[np.float64] = factors.solve(load).reshape(shape)
    return solution


def darcy_matrix(
    coefficient: NDArray[np.floating], spacing: tuple[float, float], walls: Walls = NATIVE_WALLS
) -> sparse.csc_array:
    """The symmetric positive definite matrix of -∇·(a∇·), points in row-major order."""
    rows, columns = coefficient.shape
    padded = np.pad(np.asarray(coefficient, dtype=np.float64), 1, mode="edge")
    x_faces = 0.5 * (padded[1:, 1:-1] + padded[:-1, 1:-1]) / spacing[0] ** 2
    y_faces = 0.5 * (padded[1:-1, 1:] + padded[1:-1, :-1]) / spacing[1] ** 2
    x_faces[[0, -1]] /= np.array(walls[0])[:, None]
    y_faces[:, [0, -1]] /= walls[1]
    diagonal = x_faces[1:] + x_faces[:-1] + y_faces[:, 1:] + y_faces[:, :-1]
    to_next_row = -x_faces[1:-1].ravel()
    to_next_column = np.zeros((rows, columns))
    to_next_column[:, :-1] = -y_faces[:, 1:-1]
    neighbour = to_next_column.ravel()[:-1]
    return sparse.diags_array(
        [diagonal.ravel(), to_next_row, to_next_row, neighbour, neighbour],
        offsets=[0, columns, -columns, 1, -1],
        format="csc",
    )


def media(seed: int, start: int, stop: int, points: int = 128) -> NDArray[np.float32]:
    """Coefficient fields start..stop-1 of PDEBench's family, `(n, points, points)`, values 0.1 and 1.

    A sum of five radial Gaussians exp(-r²/s), with centres uniform in the square and s uniform in (0, 0.5),
    is thresholded at its mean over a batch of 200 samples. A sample with less than 1 % of one material is
    drawn again (PDEBench keeps it): such fields are (nearly) constant, so several samples would be the same.
    """
    fields = np.empty((stop - start, points, points), dtype=np.float32)
    # Drawn at the native resolution whatever the task asks for, so that a coarse task has the same media.
    for row, number in enumerate(range(start, stop)):
        level = threshold(seed, number // BATCH, points)
        fields[row] = next(
            field
            for field in (np.where(draw > level, HIGH, LOW) for draw in _draws(seed, number, points))
            if MINORITY <= np.mean(field == HIGH) <= 1 - MINORITY
        )
    return fields


@lru_cache(maxsize=4)
def threshold(seed: int, batch: int, points: int) -> float:
    """Mean of the Gaussian sums of a complete batch, so that a sample does not depend on their number."""
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    return float(np.mean([next(_draws(seed, number, points)).mean() for number in numbers]))


def _draws(seed: int, number: int, points: int) -> Iterator[NDArray[np.float64]]:
    """Endless independent Gaussian sums `(points, points)` for one sample."""
    random = np.random.default_rng((seed, number))
    axis = (np.arange(points) + 0.5) / points
    while True:
        x, y, width = random.random((3, GAUSSIANS, 1))
        yield np.exp(-((axis - x) ** 2) / (0.5 * width)).T @ np.exp(-((axis - y) ** 2) / (0.5 * width))


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Media start..stop-1 and their solutions for the constant source `beta`.

    A :class:`ups_data.sources.writing.Generator`. Solved on the native grid and strided to the
    task's, so the points are those of an official file. The problem is linear in β. SuperLU releases the
    interpreter lock, so threads use all cores.
    """
    stride = POINTS // info.shape[0]
    fields = media(seed, start, stop, POINTS)

    def solve(field: NDArray[np.float32]) -> NDArray[np.float32]:
        unit = solve_darcy(field, 1.0, (1 / POINTS, 1 / POINTS))
        return (parameters["beta"] * unit[::stride, ::stride]).astype(np.float32)

    with ThreadPoolExecutor(available_cores()) as pool:
        solutions = np.stack(list(pool.map(solve, fields)))
    return Fields(solutions[:, None, None], fields[:, None, ::stride, ::stride])
