"""Linear advection: the exact shift of the given frame in Fourier space."""

from __future__ import annotations

import numpy as np

from ups_data.info import TaskInfo
from ups_data.solvers.base import Array, ClassicalSolver, Given


class SpectralShift(ClassicalSolver):
    """u(x, t) = u0(x - βt): every Fourier mode is turned by its phase."""

    name = "spectral shift"

    def solve(self, given: Given, info: TaskInfo, frames: int) -> Array:
        """See :class:`ClassicalSolver`."""
        (low, high), points = info.domain[0], given.state.shape[-1]
        wave = 2 * np.pi * np.fft.rfftfreq(points, (high - low) / points)
        times = info.dt * np.arange(1, frames + 1)
        turn = np.exp(-1j * given.params[:, :1, None] * times[:, None] * wave)[:, :, None]
        shifted: Array = np.fft.irfft(np.fft.rfft(given.state)[:, None] * turn, n=points)
        return shifted
