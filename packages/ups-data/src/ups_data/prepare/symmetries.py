"""Compares the symmetries that a task declares with its training data.

Only a solver could tell whether transformed solutions are solutions. A small map from input to output
(:mod:`ups_data.prepare.fits`) is cheaper: one is fitted to trajectories, another to the same trajectories and
transformed copies, and both predict trajectories that they have not seen. Copies that are solutions too are
only more data, so the error does not rise; otherwise no single map fits both, and it rises. The initial
conditions need not be symmetric for this.

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
Values = NDArray[np.float64]

NOTICEABLE = 1.2
"""Error with transformed copies over error without, from which a symmetry is reported; true ones vary less.
A false one with little effect, as where diffusion dominates, stays unnoticed."""
DIFFERENT = 0.1
"""Least increase of the relative error that is reported; a smaller one can be the map's own."""
FEWEST = 24
"""Trajectories below which nothing is measured."""
TRAJECTORIES = 128
"""Most trajectories of the same parameters that are measured: less than a second of work."""
SETS = 32
"""Most parameters that are measured; trajectories of those with few are measured together."""
CELLS = {1: 32, 2: 16, 3: 8}
"""Dimension -> largest number of cells along an axis of the coarse grid."""
COPIES = 4
"""Draws per symmetry: a reflection draws each axis, so several are needed to meet all combinations."""


class SymmetryCheck:
    """Errors of fits with and without transformed copies, for the parameters with the worst.

    Args:
        info: the problem.
    """

    def __init__(self, info: TaskInfo) -> None:
        self.info = replace(info, shape=tuple(min(cells, CELLS[info.dim]) for cells in info.shape), points=())
        self.kept: dict[tuple[float, ...], list[tuple[Tensor, Tensor]]] = {}

    def add(self, parameters: Values, frames: Array, static: Array) -> None:
        """Keep some trajectories of each set of parameters.

        Args:
            parameters: `(n, P)`.
            frames: `(n, T, C, *S)`.
            static: `(n, Cs, *S)`.
        """
        if not self.info.symmetries or self.info.forcing_channels:  # the maps do not see a forcing
            return
        for values in np.unique(parameters, axis=0):
            key = tuple(values.tolist())
            if key not in self.kept and len(self.kept) == SETS:
                continue
            kept = self.kept.setdefault(key, [])
            room = TRAJECTORIES - _count(kept)
            chosen = np.flatnonzero((parameters == values).all(axis=1))[:room]
            if len(chosen):
                kept.append((self._coarse(frames[chosen]), self._coarse(static[chosen])))

    def check(self, console: Console) -> None:
        """Report symmetries that the data contradict, in one line each."""
        for symmetry, (plain, joint) in self._errors_of_all().items():
            if joint > max(NOTICEABLE * plain, plain + DIFFERENT):
                console.say(
                    f"task '{self.info.name}': the training data contradict the declared symmetry "
                    f"'{symmetry}': a fit to them and to transformed copies predicts unseen trajectories "
                    f"{joint / plain:.3g} times worse than a fit to them alone (relative errors {joint:.2g} "
                    f"and {plain:.2g}); remove it from the task's symmetries, or train with augment: false",
                    "yellow",
                )

    def _errors_of_all(self) -> dict[Symmetry, tuple[float, float]]:
        """Errors without and with copies, of the parameters where they differ most."""
        alone = [kept for kept in self.kept.values() if _count(kept) >= FEWEST]
        mixed = [part for kept in self.kept.values() if _count(kept) < FEWEST for part in kept]
        worst: dict[Symmetry, tuple[float, float]] = {}
        for kept in [*alone, mixed]:
            if _count(kept) < FEWEST:
                continue
            batch, trajectory = self._batch(kept)
            for symmetry in self.info.symmetries:
                found = self._errors(batch, _transformed(batch, self.info, symmetry), trajectory)
                plain, joint = worst.get(symmetry, (1.0, 0.0))
                if found[1] * plain > joint * found[0]:
                    worst[symmetry] = found
        return worst

    def _coarse(self, fields: Array) -> Tensor:
        """Averages over the cells of the coarse grid of fields `(n, ..., *S)`."""
        values = torch.as_tensor(np.ascontiguousarray(fields), dtype=torch.float64)
        leading = values.shape[: -self.info.dim]
        if not values.numel():
            return values.new_empty(*leading, *self.info.shape)
        flat = values.reshape(len(values), -1, *values.shape[-self.info.dim :])
        means = functional.interpolate(flat, size=list(self.info.shape), mode="area")
        return means.reshape(*leading, *self.info.shape)

    def _batch(self, kept: list[tuple[Tensor, Tensor]]) -> tuple[FieldBatch, Tensor]:
        """All steps of trajectories, and which trajectory each is from."""
        frames = torch.cat([frames for frames, _ in kept])
        static = torch.cat([static for _, static in kept])
        history = min(self.info.history, 2)  # two frames determine a velocity
        steps = frames.shape[1] - history
        windows = frames.unfold(1, history + 1, 1).movedim(-1, 2).flatten(0, 1)
        trajectory = torch.arange(len(frames)).repeat_interleave(steps)
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


def _count(kept: list[tuple[Tensor, Tensor]]) -> int:
    return sum(len(frames) for frames, _ in kept)


def _transformed(batch: FieldBatch, info: TaskInfo, symmetry: Symmetry) -> FieldBatch:
    """Copies of which none is the original: several draws, each for a part of the steps."""
    copies = []
    for part in range(COPIES):
        original = batch.rows(torch.arange(part, len(batch), COPIES))
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
    return together.rows(together.index.argsort())
