"""Linear advection: the exact shift of the given frame in Fourier space."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ups_data.info import TaskInfo
from ups_data.solvers.base import ClassicalSolver, Given


class SpectralShift(ClassicalSolver):
    """u(x, t) = u0(x - βt): every Fourier mode is turned by its phase."""

    name = "spectral shift"
    differentiable = True

    def solve(self, given: Given, info: TaskInfo, frames: int) -> Tensor:
        """See :class:`ClassicalSolver`."""
        state, params = given.state, given.params
        (low, high), points = info.domain[0], state.shape[-1]
        modes = torch.arange(points // 2 + 1, dtype=state.dtype, device=state.device)
        wave = 2 * math.pi / (high - low) * modes
        times = info.dt * torch.arange(1, frames + 1, dtype=state.dtype, device=state.device)
        phase = -params[:, :1, None] * times[:, None] * wave
        turn = torch.polar(torch.ones_like(phase), phase)[:, :, None]
        shifted: Tensor = torch.fft.irfft(torch.fft.rfft(state)[:, None] * turn, n=points)
        return shifted
