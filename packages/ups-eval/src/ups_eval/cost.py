"""Costs of a model against those of a classical solver at equal error; numbers alone, without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SolverRun:
    """A solver on one grid.

    Attributes:
        points: along every axis.
        error: nRMSE, mean over trajectories and frames.
        seconds: wall time for one trajectory.
    """

    points: tuple[int, ...]
    error: float
    seconds: float


def cheapest(runs: Sequence[SolverRun], error: float) -> SolverRun | None:
    """The fastest run with at most this error; None if no grid is accurate enough."""
    accurate = [run for run in runs if run.error <= error]
    return min(accurate, key=lambda run: run.seconds, default=None)


def break_even(training: float, model: float, solver: float) -> float:
    """Number of solves from which training pays, infinite if a model's solve takes longer; all in seconds."""
    return training / (solver - model) if solver > model else math.inf
