"""Radial dam breaks of shallow water, PDEBench's 2D_rdb, by finite volumes.

h_t + div(hv) = 0, (hv)_t + div(h v v) + grad(g h² / 2) = 0 with g = 1 on (-2.5, 2.5)², open edges. At t = 0
the water is at rest, 2 high inside a circle and 1 outside; the radius is uniform in (0.3, 0.7) (Takamoto et
al., arXiv 2210.07182). Cells that the circle crosses have their exact average, so that no two radii give the
same field; PDEBench's cells have the height at their centre, which leaves about 80 different fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.cpus import available_cores
from ups_data.generators.finite_volume.laws import ShallowWater
from ups_data.generators.finite_volume.scheme import NotPositive, Scheme
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

CELLS = 128
"""Cells of the native grid along each axis."""
WIDTH = 5.0
"""Length of an edge of the domain."""
INTERVAL = 0.01
"""Time between raw frames. Steps end at each of them, whichever the task keeps."""
INSIDE, OUTSIDE = 2.0, 1.0
"""Height of the water inside and outside the dam."""
RADII = 0.3, 0.7


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 of the height.

    A :class:`ups_data.sources.writing.Generator`.

    Raises:
        UPSError: a trajectory fails.
    """
    stride = CELLS // info.shape[0]
    every = round(info.dt / INTERVAL)

    def solve(number: int) -> NDArray[np.float32]:
        try:
            height = dam_break(radius(seed, number), every * (info.frames - 1) + 1)
        except NotPositive as error:
            raise UPSError(f"{info.family}: trajectory {number} cannot be computed: {error}") from error
        return height[::every, None, ::stride, ::stride]

    with ThreadPoolExecutor(available_cores()) as pool:
        return Fields(np.stack(list(pool.map(solve, range(start, stop)))))


def radius(seed: int, number: int) -> float:
    """Radius of the dam of a trajectory."""
    return float(np.random.default_rng((seed, number)).uniform(*RADII))


def dam_break(radius: float, frames: int, cells: int = CELLS) -> NDArray[np.float32]:
    """The height at raw frames 0 to frames - 1, `(frames, cells, cells)`.

    Raises:
        NotPositive: the height is not positive.
    """
    law, width = ShallowWater(), WIDTH / cells
    state = np.zeros((1, 3, cells, cells), dtype=np.float32)
    state[:, 0] = OUTSIDE + (INSIDE - OUTSIDE) * disc_fractions(radius, cells)
    found = np.empty((frames, cells, cells), dtype=np.float32)
    found[0] = state[0, 0]

    def record(rows: NDArray[np.intp], frame: NDArray[np.int64], states: NDArray[np.floating[Any]]) -> None:
        found[frame] = states[:, 0]

    Scheme(law, (width, width), "open").march(state, INTERVAL, frames, record)
    return found


def disc_fractions(radius: float, cells: int) -> NDArray[np.float64]:
    """Share of each cell's area that is inside the central disc, `(cells, cells)`."""
    edges = WIDTH * (np.arange(cells + 1) / cells - 0.5)
    # Area of the quarter disc within [0, x] x [0, y], odd in both: differences of it are areas of cells.
    x = np.minimum(np.abs(edges), radius)
    y = x[:, None]
    bound = np.sqrt(np.maximum(radius**2 - y**2, 0))
    corner = y * np.minimum(x, bound) + np.maximum(_under_arc(x, radius) - _under_arc(bound, radius), 0)
    signed = np.sign(edges)[:, None] * np.sign(edges) * (corner + corner.T) / 2
    area = np.diff(np.diff(signed, axis=0), axis=1)
    fractions: NDArray[np.float64] = area / (WIDTH / cells) ** 2
    return np.clip(fractions, 0, 1)


def _under_arc(x: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Integral of sqrt(radius² - t²) from 0 to x."""
    angle = np.arcsin(np.minimum(x / radius, 1))
    area: NDArray[np.float64] = radius**2 * (angle + np.sin(2 * angle) / 2) / 2
    return area
