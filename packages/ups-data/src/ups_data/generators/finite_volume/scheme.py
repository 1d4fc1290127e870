"""The scheme: limited slopes, Riemann solver, second-order steps, each trajectory with its own step size.

Time steps are the second-order strong-stability-preserving Runge-Kutta method of C.-W. Shu and S. Osher,
"Efficient implementation of essentially non-oscillatory shock-capturing schemes", J. Comput. Phys. 77 (1988)
439, doi:10.1016/0021-9991(88)90177-5, between two half steps of viscosity (G. Strang, "On the construction
and comparison of difference schemes", SIAM J. Numer. Anal. 5 (1968) 506, doi:10.1137/0705041).

All operations are elementwise or maxima over one trajectory, so its bits do not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ups_core import UPSError
from ups_data.generators.finite_volume.boundaries import Ends, padded
from ups_data.generators.finite_volume.laws import Law
from ups_data.generators.finite_volume.lines import PIECE, along, pieces
from ups_data.generators.finite_volume.reconstruction import GHOSTS, face_values
from ups_data.generators.finite_volume.viscosity import Viscosity

Array = NDArray[np.floating[Any]]
Record = Callable[[NDArray[np.intp], NDArray[np.int64], Array], None]


class NotPositive(UPSError):
    """A density or pressure is not positive, or not finite.

    Args:
        row: of the trajectory.
    """

    def __init__(self, row: int) -> None:
        super().__init__("a density or pressure is not positive")
        self.row = row


COURANT = 0.8
"""Time step times :meth:`Law.rates`; smooth waves are stable up to 0.99."""


@dataclass(frozen=True)
class Scheme:
    """A law on a grid.

    Attributes:
        law: the conservation law.
        spacing: width of a cell along each axis.
        ends: of the domain.
        viscosity: None if there is none.
    """

    law: Law
    spacing: tuple[float, ...]
    ends: Ends
    viscosity: Viscosity | None = None

    def stable_step(self, state: Array) -> NDArray[np.float64]:
        """Largest stable time step of each trajectory, `(n,)`."""
        return COURANT / self.law.rates(self.law.primitive(state), self.spacing)

    def step(self, state: Array, size: NDArray[np.float64]) -> Array:
        """The state `(n, C, *S)` after a time step of `size` `(n,)` without viscosity.

        Where a step leaves a cell without positive density or pressure, it is repeated without slopes near
        that cell, and then without slopes.

        Raises:
            NotPositive: a density or pressure is not positive nevertheless.
        """
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self._step(state, size)

    def _step(self, state: Array, size: NDArray[np.float64]) -> Array:
        made = self._transport(state, size, None)
        troubled = self.law.troubled(made)
        for reach in (2, None):
            rows = np.flatnonzero(troubled.reshape(len(made), -1).any(axis=1))
            if not rows.size:
                break
            flat = np.stack([_nearby(troubled[row], reach) for row in rows]).astype(state.dtype)
            made[rows] = self._transport(state[rows], size[rows], flat)
            troubled[rows] = self.law.troubled(made[rows])
        if troubled.any():
            raise NotPositive(int(np.argwhere(troubled)[0, 0]))
        return made

    def diffuse(self, state: Array, size: NDArray[np.float64]) -> Array:
        """The state after a time step of `size` `(n,)` of viscosity alone."""
        return state if self.viscosity is None else self.viscosity.advance(state, size)

    def _transport(self, state: Array, size: NDArray[np.float64], flat: Array | None) -> Array:
        """Two-stage Runge-Kutta step; `flat` `(n, *S)` is 1 where slopes are 0."""
        step = size.astype(state.dtype).reshape(-1, *[1] * (state.ndim - 1))
        first = self.change(state, flat)
        first *= step
        first += state
        made = self.change(first, flat)
        made *= step
        made += first
        made += state
        made *= state.dtype.type(0.5)
        return made

    def change(self, state: Array, flat: Array | None = None) -> Array:
        """Rate of change of `state` by fluxes."""
        primitive = self.law.primitive(state)
        change = np.zeros_like(state)
        for axis, width in enumerate(self.spacing):
            source, target = along(primitive, axis), along(change, axis)
            channels, cells = source.shape[:2]
            inverse = state.dtype.type(1 / width)
            for piece in pieces(source.shape[2:], PIECE // cells):
                where = (slice(None), slice(None), *piece)
                wide = padded(source[where], self.ends, GHOSTS)
                mask = None
                if flat is not None:
                    mask = padded(along(flat[:, None], axis)[where], self.ends, GHOSTS)
                    mask = mask.reshape(cells + 2 * GHOSTS, -1)
                left, right = face_values(wide.reshape(channels, cells + 2 * GHOSTS, -1), mask)
                flux = self.law.flux(left, right, axis)
                fall = flux[:, :-1] - flux[:, 1:]
                fall *= inverse
                target[where] += fall.reshape(channels, cells, *wide.shape[2:])
        return change

    def march(self, state: Array, interval: float, frames: int, record: Record) -> None:
        """Advance every trajectory through `frames` frames `interval` apart; the first one is `state`.

        Args:
            state: `(n, C, *S)`.
            interval: time between frames, at which steps end exactly.
            frames: number of frames, 2 or more.
            record: called with rows, numbers of their frames, and their states, whenever some rows are at a
                frame after the first.

        Raises:
            NotPositive: see :meth:`step`; with the row in the given `state`.
        """
        rows = np.arange(len(state))
        frame = np.zeros(len(state), dtype=np.int64)
        elapsed, pending = np.zeros((2, len(state)))  # since the last frame; of viscosity
        while rows.size:
            size, left = self.stable_step(state), interval - elapsed
            if not (size > 0).all():  # zero, or not a number
                raise NotPositive(int(rows[np.argmin(size > 0)]))
            arriving = size >= left
            # Two equal steps rather than a long one and a short one.
            size = np.where(arriving, left, np.minimum(size, left / 2))
            try:
                # Half a step of viscosity ends the step before, and half a one begins this step.
                state = self.step(self.diffuse(state, pending + size / 2), size)
            except NotPositive as error:
                raise NotPositive(int(rows[error.row])) from error
            elapsed, pending = elapsed + size, size / 2
            frame += arriving
            if arriving.any():
                state[arriving] = self.diffuse(state[arriving], pending[arriving])
                elapsed[arriving] = pending[arriving] = 0
                record(rows[arriving], frame[arriving], state[arriving])
                going = frame < frames - 1
                if not going.all():
                    rows, frame, state = rows[going], frame[going], state[going]
                    elapsed, pending = elapsed[going], pending[going]


def _nearby(troubled: NDArray[np.bool_], reach: int | None) -> NDArray[np.bool_]:
    """Cells at most `reach` cells from troubled ones; None: all cells."""
    if reach is None:
        return np.ones_like(troubled)
    return np.asarray(ndimage.maximum_filter(troubled, 2 * reach + 1, mode="wrap"))
