"""Burgers' equation: the Cole-Hopf semigroup of :mod:`ups_data.generators.burgers`, on the given points."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ups_data.generators.burgers import State, evolve
from ups_data.info import TaskInfo
from ups_data.solvers.base import ClassicalSolver, Given

FARTHEST = 4.0
"""Lengths of the domain that characteristics may move apart within a step; predictions that diverge exceed
it."""

TURNS = 1e6
"""Lengths of the domain that anything may move within a step: points are counted in integers."""


class ColeHopf(ClassicalSolver):
    """Exact for the trapezoid integrals of the given frame; NaN where that is not one of a flow."""

    name = "Cole-Hopf"

    def solve(self, given: Given, info: TaskInfo, frames: int) -> Tensor:
        """See :class:`ClassicalSolver`."""
        states, params = given.state.double().cpu().numpy(), given.params.double().cpu().numpy()
        found = np.empty((len(states), frames, *states.shape[1:]))
        for row, (start, nu) in enumerate(zip(states[:, 0], params[:, 0], strict=True)):
            moved = np.ptp(start) * info.dt, np.abs(start).max() * info.dt
            if not (moved[0] <= FARTHEST and moved[1] <= TURNS):  # also where it is not finite
                found[row] = np.nan
                continue
            integrals = 0.5 * (start + np.roll(start, -1)) / len(start)
            potential = np.concatenate([[0.0], np.cumsum(integrals[:-1])])
            state = State(start, potential, float(integrals.sum()))
            found[row, :, 0] = evolve(state, float(nu) / math.pi, info.dt, 1 + frames)[1:]
        return torch.from_numpy(found).to(given.state)
