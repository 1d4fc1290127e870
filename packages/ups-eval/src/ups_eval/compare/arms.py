"""Groups runs by experiment: runs of one arm differ by seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ups_core import UPSError
from ups_core.fingerprint import digest
from ups_core.run_file import SPEC, read_run
from ups_core.spec_changes import changes, flat, read_resolved
from ups_eval.bootstrap import Estimate, Sample, estimate
from ups_eval.breakdown import sample
from ups_eval.report.collect import Evaluation, Run, collect

APART = ("name", "seed", "trackers", "launcher")
"""Keys of a spec in which runs of one experiment may differ."""


@dataclass(frozen=True)
class Arm:
    """Runs of one experiment.

    Attributes:
        label: what tables call it.
        runs: one per seed, in the order in which they were given.
        spec: resolved spec of the first run.
    """

    label: str
    runs: Sequence[Run]
    spec: Mapping[str, Any]

    @property
    def scored(self) -> list[Evaluation]:
        """The last evaluation of every run."""
        return [run.evaluations[-1] for run in self.runs]

    def samples(self, task: str, model: str | None = None, metric: str = "nrmse") -> list[Sample]:
        """One per seed; empty unless all have it. `model` is a baseline; None for the model under test."""
        found = [
            sample(item.results, item.statistics, task, model or item.results.model, metric)
            for item in self.scored
        ]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else []

    def values(self, task: str, model: str | None = None, metric: str = "nrmse") -> list[float]:
        """The metric of every seed; not finite for a diverged one, empty unless all were scored."""
        found = [item.results.value(task, model or item.results.model, metric) for item in self.scored]
        known = [value for value in found if value is not None]
        return known if len(known) == len(found) else []


@dataclass(frozen=True)
class Line:
    """A model of an arm on a task.

    Attributes:
        arm: label.
        task: name.
        model: display name.
        values: one per seed.
        estimate: their mean with an interval over trajectories.
    """

    arm: str
    task: str
    model: str
    values: tuple[float, ...]
    estimate: Estimate

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds; NaN with one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")


def load(directories: Sequence[Path]) -> list[Arm]:
    """The arms of some runs, in the order in which they are first named.

    Raises:
        UPSError: one is not a run directory, was not scored, or is given twice.
    """
    groups: dict[str, list[tuple[Run, dict[str, Any]]]] = {}
    seen: dict[str, Path] = {}
    for directory in directories:
        fingerprint = read_run(directory).fingerprint
        if fingerprint in seen:
            raise UPSError(
                f"{directory} and {seen[fingerprint]} are runs of the same spec and seed; name one of them"
            )
        seen[fingerprint] = directory
        run = collect(directory)
        if not run.evaluations:
            raise UPSError(f"no step of {directory} has been scored; add 'evaluate: rollout' to the spec")
        spec = read_resolved(directory / SPEC) or {}
        experiment = digest(flat({key: value for key, value in spec.items() if key not in APART}))
        groups.setdefault(experiment, []).append((run, spec))
    labels = _labels([group[0][0] for group in groups.values()])
    return [
        Arm(label, [run for run, _ in group], group[0][1])
        for label, group in zip(labels, groups.values(), strict=True)
    ]


def lines(arm: Arm, metric: str = "nrmse") -> list[Line]:
    """Every task and model that all seeds of the arm scored."""
    first = arm.scored[0].results
    found = []
    for task in first.tasks:
        for model in first.models:
            values = arm.values(task, model, metric)
            if values:
                samples = arm.samples(task, model, metric)
                number = float(np.mean(values))
                known = estimate(samples) if samples else Estimate(number, float("-inf"), float("inf"))
                found.append(Line(arm.label, task, model, tuple(values), known))
    return found


def spec_differences(arm: Arm, other: Arm) -> list[str]:
    """`key: ours -> theirs` for everything in which the specs differ, but for seed and name."""
    ours, theirs = (
        flat({key: value for key, value in one.spec.items() if key not in APART}) for one in (arm, other)
    )
    return list(changes(ours, theirs))


def _labels(runs: Sequence[Run]) -> list[str]:
    """Names of the specs; with the fingerprint where two are called alike."""
    names = [run.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name}-{run.fingerprint[:8]}"
        for name, run in zip(names, runs, strict=True)
    ]
