"""Compares the symmetries that a task declares with its training data.

Data cannot be transformed and solved again, so a map from input to output stands in for the solver
(:mod:`ups_data.prepare.fits`): it is fitted by least squares once to trajectories as they are and once to
transformed copies beside them, and predicts trajectories that it has not seen. If transformed solutions are
solutions, the copies are more data of the same kind and the error stays or falls; if not, one map cannot
follow both and the error rises. This also holds if the initial conditions themselves are not symmetric.

The maps see a coarse grid, on which a frame of a few raw time steps moves by few cells.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ups_core.console import Console
from ups_data.batches.batch import FieldBatch
from ups_data.batches.symmetry import SYMMETRIES
from ups_data.info import Symmetry, TaskInfo
from ups_data.prepare.fits import least_squares, rows_of_changes, rows_of_solutions

Array = NDArray[np.floating]

NOTICEABLE = 1.2
"""Error with transformed copies over error without, from which a symmetry is reported. Those of shipped tasks
stay below 1.06; `sign` has 1.24 to 1.8 for Burgers flow at ν of 0.001 and 0.01, `reflection` 5 to 24 for
advection. Where a false one has little effect, as for Burgers flow at ν = 1, it is not noticed."""
DIFFERENT = 0.1
"""Least increase of the relative error that is reported; a smaller one can be the map's own."""
FEWEST = 24
"""Training trajectories below which nothing is measured."""
TRAJECTORIES = 128
"""Most trajectories of a file that are measured: less than a second of work per file."""
CELLS = {1: 32, 2: 16, 3: 8}
"""Dimension -> largest number of cells along an axis of the coarse grid."""
COPIES = 4
"""Draws per symmetry: a reflection draws each axis, so several are needed to meet all combinations."""


class SymmetryCheck:
    """Errors with and without transformed copies, the worst file of each symmetry.

    Args:
        info: the problem.
    """

    def __init__(self, info: TaskInfo) -> None:
        self.info = replace(info, shape=tuple(min(cells, CELLS[info.dim]) for cells in info.shape), points=())
        self.file = -1
        self.kept: list[tuple[Tensor, Tensor | None]] = []
        self.errors: dict[Symmetry, tuple[float, float]] = {}

    def add(self, file: int, solution: Array, coefficient: Array | None) -> None:
        """Keep trajectories of a file; files come one after the other.

        Args:
            file: its number.
            solution: `(n, T, *S)`.
            coefficient: `(n, *S)`, or None for a problem without.
        """
        if not self.info.symmetries:
            return
        if file != self.file:
            self._measure()
            self.file = file
        room = TRAJECTORIES - sum(len(kept) for kept, _ in self.kept)
        if room > 0 and len(solution):
            given = None if coefficient is None else self._coarse(coefficient[:room, None])
            self.kept.append((self._coarse(solution[:room]), given))

    def check(self, console: Console) -> None:
        """Report symmetries that the data contradict, in one line each."""
        self._measure()
        for symmetry, (plain, joint) in self.errors.items():
            if joint > max(NOTICEABLE * plain, plain + DIFFERENT):
                console.say(
                    f"task '{self.info.name}': the training data contradict the declared symmetry "
                    f"'{symmetry}': a fit to them and to transformed copies predicts unseen trajectories "
                    f"{joint / plain:.3g} times worse than a fit to them alone (relative errors {joint:.2g} "
                    f"and {plain:.2g}); remove it from the task's symmetries, or train with augment: false",
                    "yellow",
                )

    def _measure(self) -> None:
        """Compare every symmetry with the trajectories of the last file."""
        count = sum(len(solution) for solution, _ in self.kept)
        if count >= FEWEST:
            batch, trajectory = self._batch()
            for symmetry in self.info.symmetries:
                found = self._errors(batch, _transformed(batch, self.info, symmetry), trajectory)
                worst = self.errors.get(symmetry, (1.0, 0.0))
                if found[1] * worst[0] > worst[1] * found[0]:
                    self.errors[symmetry] = found
        self.kept = []

    def _coarse(self, fields: Array) -> Tensor:
        """Averages over the cells of the coarse grid of fields `(n, T, *S)`."""
        values = torch.as_tensor(np.ascontiguousarray(fields), dtype=torch.float64)
        return functional.interpolate(values, size=list(self.info.shape), mode="area")

    def _batch(self) -> tuple[FieldBatch, Tensor]:
        """All steps of the kept trajectories, and which trajectory each is from."""
        solution = torch.cat([solution for solution, _ in self.kept])
        given = [coefficient for _, coefficient in self.kept if coefficient is not None]
        history = min(self.info.history, 2)  # two frames determine a velocity
        steps = solution.shape[1] - history
        windows = solution.unfold(1, history + 1, 1).movedim(-1, 2).flatten(0, 1)[:, :, None]
        trajectory = torch.arange(len(solution)).repeat_interleave(steps)
        static = torch.cat(given) if given else solution[:, :0]
        count = len(trajectory)
        batch = FieldBatch(
            task=self.info.name,
            state=windows[:, :history],
            static=static.repeat_interleave(steps, dim=0),
            params=torch.zeros(count, 0),
            params_mask=torch.zeros(count, 0, dtype=torch.bool),
            dt=torch.full((count,), self.info.dt),
            coords=torch.zeros(math.prod(self.info.shape), self.info.dim),
            target=windows[:, history:],
            index=torch.arange(count),
        )
        return batch, trajectory

    def _errors(self, batch: FieldBatch, copies: FieldBatch, trajectory: Tensor) -> tuple[float, float]:
        """Relative errors of fits without and with copies; each half of the trajectories predicts the other.

        Args:
            batch: steps.
            copies: the same, transformed.
            trajectory: which trajectory each step is from.
        """
        rows = rows_of_changes if self.info.kind == "evolution" else rows_of_solutions
        squares = torch.zeros(3, dtype=torch.float64)
        for half in (0, 1):
            fit = trajectory % 2 == half
            (x, y), (more, wanted), (unseen, truth) = rows(batch, copies, fit, self.info)
            alone = least_squares(x, y)
            joint = least_squares(torch.cat([x, more]), torch.cat([y, wanted]))
            for number, error in enumerate((unseen @ alone - truth, unseen @ joint - truth, truth)):
                squares[number] += error.square().sum()
        plain, together = (squares[:2] / squares[2].clamp_min(1e-300)).sqrt().clamp_min(1e-300).tolist()
        return plain, together


def _transformed(batch: FieldBatch, info: TaskInfo, symmetry: Symmetry) -> FieldBatch:
    """Copies of which none is the original: several draws, each for a part of the steps."""
    copies = []
    for part in range(COPIES):
        original = _steps(batch, torch.arange(part, len(batch), COPIES))
        draws = (SYMMETRIES[symmetry](original, info, part + COPIES * draw) for draw in range(64))
        changed = (copy for copy in draws if not torch.equal(copy.target, original.target))
        copies.append(next(changed, original))
    together = replace(
        batch,
        state=torch.cat([copy.state for copy in copies]),
        static=torch.cat([copy.static for copy in copies]),
        target=torch.cat([copy.target for copy in copies]),
        index=torch.cat([copy.index for copy in copies]),
    )
    return _steps(together, together.index.argsort())


def _steps(batch: FieldBatch, index: Tensor) -> FieldBatch:
    """Some samples of a batch; everything else is the same for all."""
    return replace(
        batch,
        state=batch.state[index],
        static=batch.static[index],
        target=batch.target[index],
        index=batch.index[index],
    )
