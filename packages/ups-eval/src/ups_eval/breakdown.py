"""Parts of an evaluation: errors by parameter value, channel and horizon, as samples for intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ups_core import UPSError
from ups_core.mistakes import did_you_mean
from ups_eval.bootstrap import Sample
from ups_eval.results import Results
from ups_eval.trajectory_statistics import Values

SAME = 1e-6
"""Relative difference up to which parameter values are equal; files store them in float32."""


@dataclass(frozen=True)
class Part:
    """Which part of the errors to take.

    Attributes:
        horizon: the first so many predicted frames; None for all.
        channel: name of a predicted channel; None for the mean over all.
        where: parameter -> its value; trajectories with other values are left out.
    """

    horizon: int | None = None
    channel: str | None = None
    where: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{name} = {value:g}" for name, value in self.where.items()]
        if self.channel is not None:
            words.append(self.channel)
        if self.horizon is not None:
            words.append(f"{self.horizon} frame{'s' if self.horizon > 1 else ''}")
        return ", ".join(words)


EVERYTHING = Part()


def sample(
    results: Results,
    arrays: Mapping[str, Values],
    task: str,
    model: str,
    metric: str = "nrmse",
    part: Part = EVERYTHING,
) -> Sample | None:
    """What trajectories contribute to a metric; None if the model was not scored, or the metric keeps
    nothing.

    Raises:
        UPSError: the part does not exist, or the metric is not kept by frame and channel.
    """
    if task not in results.problems or model not in (*results.errors.get(task, {}), "truth"):
        return None
    rows = _rows(results, arrays, task, part.where)
    groups = tuple(np.asarray(results.trajectories[task])[rows].tolist())
    if metric == "nrmse":
        if model not in results.errors[task]:
            return None
        errors = _columns(arrays[results.errors[task][model]][rows], results, task, part)
        return Sample(errors, "mean", groups, per_frame=True)
    if part.horizon is not None or part.channel is not None:
        raise UPSError(f"'{metric}' is not kept by frame and channel; only nrmse is")
    name = results.values.get(task, {}).get(model, {}).get(metric)
    return None if name is None else Sample(arrays[name][rows], results.reductions[metric], groups)


def parameter_values(results: Results, arrays: Mapping[str, Values], task: str) -> list[dict[str, float]]:
    """The different sets of parameter values that were scored, ascending; one empty set without
    parameters."""
    problem = results.problems[task]
    rows = np.unique(arrays[problem.params].round(12), axis=0)
    return [dict(zip(problem.parameters, row.tolist(), strict=True)) for row in rows]


def untrained(results: Results, task: str, where: Mapping[str, float]) -> list[str]:
    """What of some parameter values is outside the range of the train split, in words."""
    problem = results.problems[task]
    words = []
    for name, (low, high) in zip(problem.parameters, problem.trained, strict=True):
        value = where.get(name)
        if value is not None and not low - SAME * abs(low) <= value <= high + SAME * abs(high):
            trained = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
            words.append(f"{name} = {value:.4g}, trained on {trained}")
    return words


def horizons(results: Results, task: str) -> list[int]:
    """Numbers of frames to report: those of the spec that are fewer than all, then all."""
    frames = len(next(iter(results.per_step[task].values())))
    return [horizon for horizon in results.horizons if horizon < frames] + [frames]


def _rows(
    results: Results, arrays: Mapping[str, Values], task: str, where: Mapping[str, float]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    problem = results.problems[task]
    params = arrays[problem.params]
    chosen = np.ones(len(params), dtype=bool)
    for name, value in where.items():
        if name not in problem.parameters:
            raise UPSError(f"task '{task}' has no parameter '{name}'{did_you_mean(name, problem.parameters)}")
        chosen &= np.isclose(params[:, problem.parameters.index(name)], value, rtol=SAME, atol=0)
    if not chosen.any():
        raise UPSError(f"no trajectory of '{task}' was scored with {Part(where=where)}")
    return chosen


def _columns(errors: Values, results: Results, task: str, part: Part) -> Values:
    """Errors `(n, T, C)` of a part, mean over its channels, `(n, T')`."""
    channels = results.problems[task].channels
    if part.channel is not None:
        if part.channel not in channels:
            raise UPSError(
                f"task '{task}' has no channel '{part.channel}'{did_you_mean(part.channel, channels)}"
            )
        errors = errors[:, :, [channels.index(part.channel)]]
    if part.horizon is not None and part.horizon > errors.shape[1]:
        raise UPSError(f"horizon {part.horizon} exceeds the {errors.shape[1]} predicted frames of '{task}'")
    mean: Values = errors[:, : part.horizon].mean(axis=2)
    return mean
