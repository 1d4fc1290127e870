"""The values that a trial tries: a grid, random draws, or Optuna's TPE, behind one small interface.

A proposal is a pure function of the space, the seed, the trial's number and (TPE) the results of earlier
trials. Nothing is kept between proposals, so an interrupted study resumes with the same trials.
"""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ups_core.errors import UPSError, UsageError
from ups_core.study.space import Choice, Parameter, Space, Values, value_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

METHODS = ("grid", "random", "optuna")
MAX_GRID = 10_000

Result = tuple[Values, float | None]
"""The values of an earlier trial and its result (lower is better), None where it failed."""


class Search(Protocol):
    """A search method over one space."""

    limit: int | None
    """Number of different trials, or None where it is unlimited."""

    def propose(self, number: int, earlier: Sequence[Result]) -> Values:
        """The values of trial `number`, counted from 1."""
        ...


def choose_method(given: str | None, space: Space, points: int | None) -> str:
    """The name of the method: the given one, else one that suits the space and the installation.

    Raises:
        UsageError: `points` with another method than the grid.
    """
    if points is not None and given not in (None, "grid"):
        raise UsageError(f"--points belongs to --method grid, not to {given}; remove one")
    if given is not None:
        return given
    if points is not None or all(isinstance(parameter, Choice) for parameter in space):
        return "grid"
    return "optuna" if importlib.util.find_spec("optuna") else "random"


def create_search(method: str, space: Space, seed: int, points: int | None) -> Search:
    """The search method of this name.

    Raises:
        UsageError: a grid without `points` for a range, or too large.
        UPSError: Optuna is requested but not installed.
    """
    if method == "grid":
        return Grid(space, seed, points)
    return Random(space, seed) if method == "random" else Optuna(space, seed)


class Grid:
    """Every combination once, in shuffled order, so that a stopped search has covered the complete grid."""

    def __init__(self, space: Space, seed: int, points: int | None) -> None:
        self.axes = {parameter.key: parameter.grid(points) for parameter in space}
        size = math.prod(len(axis) for axis in self.axes.values())
        if size > MAX_GRID:
            raise UsageError(f"the grid has {size} points, more than {MAX_GRID}; use --method random")
        self.limit: int | None = size
        self.order = random.Random(seed).sample(range(size), size)

    def propose(self, number: int, earlier: Sequence[Result]) -> Values:
        """The grid point that is the `number`-th in the shuffled order."""
        rest, values = self.order[number - 1], {}
        for key, axis in reversed(self.axes.items()):
            rest, index = divmod(rest, len(axis))
            values[key] = axis[index]
        return {key: values[key] for key in self.axes}


class Random:
    """Independent draws, every parameter uniform in its scale."""

    limit: int | None = None

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed

    def propose(self, number: int, earlier: Sequence[Result]) -> Values:
        """Draw from a generator that is seeded by the trial's number."""
        # Seeding with text hashes it by SHA-512, so neighbouring numbers give independent streams.
        draw = random.Random(f"{self.seed}/{number}")
        return {parameter.key: parameter.sample(draw.random()) for parameter in self.space}


class Optuna:
    """Optuna's tree-structured Parzen estimator: draws near good values.

    "Algorithms for Hyper-Parameter Optimization" (Bergstra et al., NeurIPS 2011).
    """

    limit: int | None = None

    def __init__(self, space: Space, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise UPSError(
                "--method optuna needs Optuna: pip install 'ups-core[tune]', or use --method random"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna
        self.space = space
        self.seed = seed
        self.distributions = {parameter.key: _distribution(parameter) for parameter in space}

    def propose(self, number: int, earlier: Sequence[Result]) -> Values:
        """Ask a sampler that knows the earlier results, in their order."""
        seed = random.Random(f"{self.seed}/{number}").getrandbits(32)
        study = self.optuna.create_study(sampler=self.optuna.samplers.TPESampler(seed=seed))
        states = self.optuna.trial.TrialState
        for values, value in earlier:
            study.add_trial(
                self.optuna.trial.create_trial(
                    params={p.key: _known(p, values[p.key]) for p in self.space},
                    distributions=self.distributions,
                    value=value,
                    state=states.FAIL if value is None else states.COMPLETE,
                )
            )
        asked = study.ask(self.distributions).params
        return {p.key: p.values[asked[p.key]] if isinstance(p, Choice) else asked[p.key] for p in self.space}


def _distribution(parameter: Parameter) -> BaseDistribution:
    """The parameter as Optuna has it."""
    from optuna import distributions

    if isinstance(parameter, Choice):
        return distributions.CategoricalDistribution(range(len(parameter.values)))
    if parameter.integer:
        return distributions.IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _known(parameter: Parameter, value: object) -> object:
    """A value as Optuna stores it: a choice by its index, because it may be a mapping or a list."""
    if not isinstance(parameter, Choice):
        return value
    return [value_text(choice) for choice in parameter.values].index(value_text(value))
