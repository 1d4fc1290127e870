"""Compressible flow after PDEBench's 1D_CFD to 3D_CFD, by finite volumes.

rho_t + div(rho v) = 0, (rho v)_t + div(rho v v) + grad p = div s, E_t + div((E + p) v - v s) = 0, with
E = p / (gamma - 1) + rho v² / 2, gamma = 5/3 and the stress s of
:mod:`ups_data.generators.finite_volume.viscosity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.cpus import available_cores
from ups_data.generators.compressible_resolution import NEGLIGIBLE
from ups_data.generators.compressible_states import (
    GAMMA,
    States,
    random_fields,
    random_waves,
    shock_tube,
    turbulence,
)
from ups_data.generators.finite_volume.boundaries import Ends
from ups_data.generators.finite_volume.laws import Gas
from ups_data.generators.finite_volume.scheme import NotPositive, Scheme
from ups_data.generators.finite_volume.viscosity import Viscosity
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Frames = NDArray[np.float32]

TOGETHER = 32768
"""Cells that one thread advances together."""


@dataclass(frozen=True)
class Flow:
    """A :class:`ups_data.sources.writing.Generator` of one family of files.

    Attributes:
        states: draws initial states.
        shape: native grid.
        width: length of an edge of the domain.
        interval: time between raw frames; steps end at each of them, whichever the task keeps.
        ends: of the domain.
        precision: of the computation. The many short steps on a line need double precision.
    """

    states: States
    shape: tuple[int, ...]
    width: float
    interval: float
    ends: Ends = "periodic"
    precision: type[np.floating[Any]] = np.float32

    def __call__(
        self, info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int
    ) -> Fields:
        """Trajectories start..stop-1 of density, pressure and velocity.

        Raises:
            UPSError: a trajectory fails.
        """
        stride, every = self.shape[0] // info.shape[0], round(info.dt / self.interval)
        raw = every * (info.frames - 1) + 1
        mach, eta, zeta = parameters.get("M", 1.0), parameters["eta"], parameters["zeta"]
        size = max(1, min(TOGETHER // int(np.prod(self.shape)), -(-(stop - start) // available_cores())))

        def solve(first: int) -> Frames:
            numbers = range(first, min(first + size, stop))
            states = [self.states(np.random.default_rng((seed, n)), self.shape, mach) for n in numbers]
            try:
                return self.solve(np.stack(states), eta, zeta, raw, every, stride)
            except NotPositive as error:
                number = numbers[error.row]
                raise UPSError(f"{info.family}: trajectory {number} cannot be computed: {error}") from error

        with ThreadPoolExecutor(available_cores()) as pool:
            return Fields(np.concatenate(list(pool.map(solve, range(start, stop, size)))))

    def solve(
        self,
        states: NDArray[np.float64],
        eta: float,
        zeta: float,
        frames: int,
        every: int = 1,
        stride: int = 1,
    ) -> Frames:
        """Density, pressure and velocity of some raw frames and cells.

        Args:
            states: primitive variables at t = 0, `(n, C, *S)`, on any grid.
            eta: shear viscosity.
            zeta: bulk viscosity.
            frames: raw frames, including the first one.
            every: raw frames from one kept frame to the next.
            stride: cells from one kept point to the next.

        Returns:
            `(n, T, C, *P)`.

        Raises:
            NotPositive: a density or pressure is not positive.
        """
        law, shape = Gas(GAMMA), states.shape[2:]
        spacing = tuple(self.width / cells for cells in shape)
        viscosity = Viscosity(eta, zeta, spacing, self.ends) if max(eta, zeta) > NEGLIGIBLE else None
        points = (slice(None), slice(None), *[slice(None, None, stride)] * len(shape))
        order = [0, states.shape[1] - 1, *range(1, states.shape[1] - 1)]
        first = states[:, order][points]
        found = np.empty((len(states), (frames - 1) // every + 1, *first.shape[1:]), dtype=np.float32)
        found[:, 0] = first

        def record(rows: NDArray[np.intp], frame: NDArray[np.int64], made: NDArray[Any]) -> None:
            kept = np.flatnonzero(frame % every == 0)
            found[rows[kept], frame[kept] // every] = law.primitive(made[kept])[:, order][points]

        start = law.conserved(states).astype(self.precision)
        Scheme(law, spacing, self.ends, viscosity).march(start, self.interval, frames, record)
        return found


RANDOM_1D = Flow(random_waves, (1024,), 2.0, 0.01, precision=np.float64)
OPEN_1D = replace(RANDOM_1D, ends="open")
SHOCK_1D = replace(OPEN_1D, states=shock_tube, interval=0.005)
RANDOM_2D = Flow(random_fields, (128, 128), 1.0, 0.05)
INVISCID_2D = replace(RANDOM_2D, shape=(512, 512))
TURBULENCE_2D = replace(INVISCID_2D, states=turbulence)
RANDOM_3D = replace(RANDOM_2D, shape=(128, 128, 128))
TURBULENCE_3D = Flow(turbulence, (64, 64, 64), 1.0, 0.05)
