"""What a leaderboard stores of one model on one task, and what makes two entries comparable."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ups_core.fingerprint import digest
from ups_eval.bootstrap import Sample
from ups_eval.breakdown import EVERYTHING, Part, sample
from ups_eval.results import Results
from ups_eval.trajectory_statistics import Values

T = TypeVar("T")

METRIC_VERSION = 1
"""Of all metrics together; a changed formula starts new boards."""
MAX_ARRAY = 8 * 1024**2
"""Bytes of the values of one metric above which an entry does not have them."""


@dataclass(frozen=True)
class Entry:
    """A scored model.

    Attributes:
        task: name of the task.
        data: fingerprint of the task's data, splits included.
        split: which trajectories were scored.
        limit: how many of every parameter value; 0 for all.
        model: display name of the model.
        baseline: whether the run compared with it, in place of testing it.
        run: name of the run directory.
        spec: fingerprint of the spec.
        experiment: fingerprint of the spec without seed, name and trackers.
        seed: of the spec.
        packages: distribution -> version of the code.
        results: of this model on this task alone.
        arrays: what the results name.
        gates: whether all gates of the run passed; None without any.
        created: UTC, ISO 8601.
        champion: whether it is the board's champion.
        number: in the file; 0 before it is stored.
    """

    task: str
    data: str
    split: str
    limit: int
    model: str
    baseline: bool
    run: str
    spec: str
    experiment: str
    seed: int
    packages: Mapping[str, str]
    results: Results
    arrays: Mapping[str, Values]
    gates: bool | None = None
    created: str = ""
    champion: bool = False
    number: int = 0
    metric_version: int = METRIC_VERSION
    board: str = field(init=False)

    def __post_init__(self) -> None:
        board = digest([self.task, self.data, self.split, self.limit, self.metric_version])
        object.__setattr__(self, "board", board)

    @property
    def identity(self) -> str:
        """What a later entry of the same code, spec and model replaces."""
        return digest([self.board, self.spec, self.model, dict(sorted(self.packages.items()))])

    def value(self, metric: str = "nrmse") -> float | None:
        """A score; see :meth:`Results.value`."""
        return self.results.value(self.task, self.model, metric)

    def sample(self, metric: str = "nrmse", part: Part = EVERYTHING) -> Sample | None:
        """What trajectories contribute to a score; see :func:`ups_eval.breakdown.sample`."""
        return sample(self.results, self.arrays, self.task, self.model, metric, part)


def restricted(
    results: Results, arrays: Mapping[str, Values], task: str, model: str
) -> tuple[Results, dict[str, Values]]:
    """Results of one model on one task, as of the model under test, and the arrays that they name."""
    prefix = f"{task}/" if model == results.model else f"{task}/{model}/"
    metrics = {
        f"{task}/{name}": value
        for key, value in results.metrics.items()
        if key.startswith(prefix) and "/" not in (name := key.removeprefix(prefix))
    }
    problem = results.problems[task]
    wanted = results.values.get(task, {}).get(model, {})
    values = {metric: name for metric, name in wanted.items() if arrays[name].nbytes <= MAX_ARRAY}
    names = [results.errors[task][model], problem.params, *values.values()]
    one = replace(
        results,
        model=model,
        baselines=[],
        metrics=metrics,
        errors={task: {model: results.errors[task][model]}},
        values={task: {model: values}},
        trajectories={task: results.trajectories[task]},
        problems={task: problem},
        parameters=_only(results.parameters, model),
        weights=_only(results.weights, model),
        frozen=_only(results.frozen, model),
        members=_only(results.members, model),
        per_step={task: _only(results.per_step[task], model)},
        per_sample={task: _only(results.per_sample[task], model)},
        seconds={task: _only(results.seconds[task], model)},
        memory={task: _only(results.memory.get(task, {}), model)},
        evaluations={task: _only(results.evaluations.get(task, {}), model)},
    )
    return one, {name: arrays[name] for name in names}


def _only(content: Mapping[str, T], key: str) -> dict[str, T]:
    return {key: content[key]} if key in content else {}


def packed(arrays: Mapping[str, Values]) -> bytes:
    """Arrays by name as bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, Any]:
    """The inverse of :func:`packed`. Raises ValueError, OSError or zipfile.BadZipFile."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
