"""FitzHugh-Nagumo on PDEBench's grid, u_t = Du ∇²u + u - u³ - k - v, v_t = Dv ∇²v + u - v, from white noise.

The problem and its discretisation are PDEBench's (Takamoto et al., arXiv 2210.07182): 128² cells on (-1, 1)²,
the 5-point Laplacian without flux through the edges, and an initial state of independent N(0, 1) values.
White noise depends on the grid, so these ordinary differential equations are the problem itself; the
generator solves them in time.

The equations are only mildly stiff: the eigenvalues of the diffusion end at -8 Dv / h² = -164. An explicit
scheme needs few steps for that, and one of its stages costs less than the cosine transforms of an implicit
one. The scheme is the five-stage method of order 4 with two registers by Carpenter and Kennedy
("Fourth-order 2N-storage Runge-Kutta schemes", NASA TM 109112, 1994); it is stable on the real axis down
to -4.65. The first steps are shorter, because white noise decays fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ups_data.generators.trajectories import in_groups
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Array = NDArray[np.float64]

POINTS = 128
"""Cells of the native grid along each axis."""
FRAME = 0.05
"""Time between raw frames."""
DU, DV, K = 1e-3, 5e-3, 5e-3
EXTENT = 2.0
"""Length of the domain along each axis."""
GROUP = 8
"""Trajectories per thread."""
FIRST, LEAST = 20, 2
"""Steps to the first raw frame, and to a late one; the number falls as 1 / (number of the frame)."""
STAGES = (
    (0.0, 1432997174477 / 9575080441755),
    (-567301805773 / 1357537059087, 5161836677717 / 13612068292357),
    (-2404267990393 / 2016746695238, 1720146321549 / 2090206949498),
    (-3550918686646 / 2091501179385, 3134564353537 / 4481467310338),
    (-1275806237668 / 842570457699, 2277821191437 / 14882151754819),
)
"""Per stage: what remains of the second register, and the share of it that is added to the state."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 of activator and inhibitor.

    A :class:`ups_data.sources.writing.Generator`.
    """
    stride, every = POINTS // info.shape[0], round(info.dt / FRAME)

    def compute(first: int, last: int) -> NDArray[np.float32]:
        initial = np.stack([initial_state(seed, number) for number in range(first, last)])
        found = np.empty((last - first, info.frames, 2, *info.shape), dtype=np.float32)
        raw = islice(evolve(initial), 0, (info.frames - 1) * every + 1, every)
        for frame, states in enumerate(raw):
            found[:, frame] = states[..., ::stride, ::stride]
        return found

    return Fields(in_groups(compute, start, stop, info.family, GROUP))


def initial_state(seed: int, number: int) -> Array:
    """White noise N(0, 1) of both fields on the native grid, `(2, POINTS, POINTS)`."""
    return np.random.default_rng((seed, number)).standard_normal((2, POINTS, POINTS))


def evolve(initial: Array, refine: int = 1) -> Iterator[Array]:
    """The states `(n, 2, N, N)` at t = 0, 0.05, 0.1, ... without end; the next one overwrites each.

    Args:
        initial: u and v of n trajectories on N² cells.
        refine: times as many steps, for studies of the error.
    """
    flow, frame = _Flow(initial), 0
    while True:
        yield flow.states
        frame += 1
        steps = refine * max(LEAST, -(-FIRST // frame))
        flow.advance(FRAME / steps, steps)


class _Flow:
    """States with a border of ghost cells around each.

    All sums run over contiguous cells, ghosts included: what is computed there is overwritten.
    """

    def __init__(self, initial: Array) -> None:
        cells = initial.shape[-1]
        self._padded = np.pad(initial.swapaxes(0, 1), ((0, 0), (0, 0), (1, 1), (1, 1)))
        self._inverse_square = (cells / EXTENT) ** 2
        flat, width = self._padded.reshape(2, -1), cells + 2
        self._cells = flat[:, width:-width]
        """All cells but the ghosts before the first trajectory and after the last."""
        self._neighbours = (
            flat[:, : -2 * width],
            flat[:, 2 * width :],
            flat[:, width - 1 : -width - 1],
            flat[:, width + 1 : -width + 1],
        )
        self._change, self._rate = np.zeros(self._cells.shape), np.empty(self._cells.shape)
        self._scratch = np.empty(self._cells.shape[1])
        self.states: Array = self._padded[..., 1:-1, 1:-1].swapaxes(0, 1)

    def advance(self, step: float, count: int) -> None:
        """`count` steps."""
        for _ in range(count):
            for remains, share in STAGES:
                self._fill_ghosts()
                self._rates(step)
                self._change *= remains
                self._change += self._rate
                np.multiply(self._change, share, out=self._rate)
                self._cells += self._rate

    def _fill_ghosts(self) -> None:
        """No flux: a ghost cell has the value of the cell next to it."""
        padded = self._padded
        padded[..., 0, :], padded[..., -1, :] = padded[..., 1, :], padded[..., -2, :]
        padded[..., 0], padded[..., -1] = padded[..., 1], padded[..., -2]

    def _rates(self, step: float) -> None:
        """Time derivatives times `step`."""
        (u, v), rate, scratch = self._cells, self._rate, self._scratch
        spread_u, spread_v = step * DU * self._inverse_square, step * DV * self._inverse_square
        above, below, left, right = self._neighbours
        np.add(above, below, out=rate)
        rate += left
        rate += right
        rate *= [[spread_u], [spread_v]]

        np.multiply(u, u, out=scratch)
        scratch *= -step
        scratch += step - 4 * spread_u
        scratch *= u
        rate[0] += scratch
        np.multiply(v, step, out=scratch)
        scratch += step * K
        rate[0] -= scratch

        np.multiply(u, step, out=scratch)
        rate[1] += scratch
        np.multiply(v, -step - 4 * spread_v, out=scratch)
        rate[1] += scratch
