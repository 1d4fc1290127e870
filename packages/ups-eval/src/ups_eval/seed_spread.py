"""Mean and standard deviation over several runs of one experiment: one seed is an anecdote."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ups_core import UPSError
from ups_core.run_file import read_run
from ups_eval.results import Results


@dataclass(frozen=True)
class Spread:
    """nRMSE of one model on one task over runs.

    Attributes:
        task: name of the task.
        model: display name of the model.
        values: one per run.
    """

    task: str
    model: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over runs."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Sample standard deviation over runs."""
        return statistics.stdev(self.values)


def spreads(runs: Sequence[Path], results: Sequence[Results]) -> list[Spread]:
    """Every task and model that all runs scored.

    Args:
        runs: run directories.
        results: of each run, in the same order.

    Raises:
        UPSError: fewer than two runs, one run given twice, or runs that scored different things.
    """
    if len(runs) < 2:
        raise UPSError(f"a spread needs two runs or more, got {len(runs)}")
    # Two copies of a run would halve the spread.
    prints = [read_run(run).fingerprint for run in runs]
    for index, fingerprint in enumerate(prints):
        if fingerprint in prints[:index]:
            twin = runs[prints.index(fingerprint)]
            raise UPSError(f"{runs[index]} and {twin} are runs of the same spec and seed; name one of them")
    first = results[0]
    for run, other in zip(runs, results, strict=True):
        if (other.models, other.tasks, other.split) != (first.models, first.tasks, first.split):
            raise UPSError(f"{run} scored other models, tasks or trajectories than {runs[0]}")
    found = []
    for task in first.tasks:
        for model in first.models:
            values = [other.value(task, model, "nrmse") for other in results]
            known = tuple(value for value in values if value is not None)
            if len(known) == len(runs):
                found.append(Spread(task, model, known))
    return found
