"""Computes the numbers of an evaluation again: from stored statistics, and these from stored predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ups_core.finished_step import FinishedStep
from ups_core.reading import UnsoundFile
from ups_eval.predictions import FILE as PREDICTIONS
from ups_eval.predictions import TaskPredictions, read_predictions
from ups_eval.results import FILE as METRICS
from ups_eval.results import TRUTH, Results
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import (
    Values,
    frame_means,
    read_statistics,
    reduce_values,
    trajectory_means,
)
from ups_eval.verify.ensemble_formulas import ENSEMBLE_FORMULAS
from ups_eval.verify.finding import Finding
from ups_eval.verify.formulas import ERRORS, FORMULAS
from ups_eval.verify.physics_formulas import PHYSICS_FORMULAS, physics_values

SAME = 1e-9
"""Relative difference of sums in another order of summation."""
FORMULAS_OF_ALL = FORMULAS.keys() | ENSEMBLE_FORMULAS.keys() | PHYSICS_FORMULAS.keys()
RECOMPUTED = 1e-6
"""Relative difference of the same formula in another library, on the same float32 values."""


def check_numbers(step: FinishedStep, results: Results) -> Iterator[Finding]:
    """Compare the numbers of a scored step with what they follow from.

    Raises:
        UnsoundFile: a file is missing, damaged, or does not have the arrays that `metrics.json` names.
    """
    arrays = read_statistics(step.file(STATISTICS))
    yield from _numbers(step, results, arrays)
    stored = read_predictions(step.file(PREDICTIONS)) if PREDICTIONS in step.record.files else {}
    for task, predictions in stored.items():
        yield _trajectories(step, results, arrays, task, predictions)


def _numbers(step: FinishedStep, results: Results, arrays: Mapping[str, Values]) -> Iterator[Finding]:
    what = f"{step.record.id}: numbers"
    compared, unproved = 0, set(results.metrics)
    for key, number, again in _recomputed(step, results, arrays):
        compared += 1
        unproved.discard(key)
        if not _same(number, again):
            yield Finding(
                what, "MISMATCH", f"{key} is {number!r} in {METRICS}, but {STATISTICS} gives {again!r}"
            )
    for key, value in results.metrics.items():
        recorded = step.record.metrics.get(f"{step.record.id}/{key}", math.nan)
        if not _same(value, math.nan if recorded is None else recorded):
            yield Finding(what, "MISMATCH", f"{key} is {value!r} in {METRICS} and {recorded!r} in step.json")
    if unproved:
        yield Finding(what, "note", f"without statistics of trajectories: {', '.join(sorted(unproved))}")
    yield Finding(what, "ok", f"{compared} follow from {STATISTICS}")


def _recomputed(
    step: FinishedStep, results: Results, arrays: Mapping[str, Values]
) -> Iterator[tuple[str, float, float]]:
    """Key, number in `metrics.json`, the same number computed again."""

    def array(name: str) -> Values:
        if name not in arrays:
            raise UnsoundFile(step.directory / STATISTICS, f"has no array '{name}'")
        return arrays[name]

    for task, models in results.errors.items():
        for model, name in models.items():
            errors = array(name)
            diverged = int(np.isinf(errors).any(axis=(1, 2)).sum())
            yield (
                results.key(task, model, "diverged"),
                results.metrics.get(results.key(task, model, "diverged"), math.nan),
                diverged,
            )
            curves = (
                ("per_step", results.per_step[task].get(model, []), frame_means(errors)),
                ("per_sample", results.per_sample.get(task, {}).get(model, []), trajectory_means(errors)),
            )
            for curve, stored, again in curves:
                if len(stored) != len(again):
                    yield f"{task}/{model}/{curve}", len(stored), len(again)
                yield from (
                    (f"{task}/{model}/{curve}[{at}]", *pair)
                    for at, pair in enumerate(zip(stored, again, strict=False))
                )
    for task, values_of in results.values.items():
        for model, metrics in values_of.items():
            for metric, values in metrics.items():
                key = results.key(task, model, metric)
                number = results.metrics.get(key, math.nan)
                yield key, number, reduce_values(array(values), results.reductions[metric])


def _trajectories(
    step: FinishedStep,
    results: Results,
    arrays: Mapping[str, Values],
    task: str,
    stored: TaskPredictions,
) -> Finding:
    what = f"{step.record.id}: predictions of {task}"
    target = stored.target.astype(np.float64)
    rows, compared = stored.position, 0
    for model, prediction in stored.predictions.items():
        found = prediction.astype(np.float64)
        finite = np.isfinite(found).reshape(len(found), -1).all(axis=1)
        names = results.values.get(task, {}).get(model, {}) | {ERRORS: results.errors[task][model]}
        members = stored.members.get(model, prediction[:, None]).astype(np.float64)
        for metric in names.keys() & FORMULAS_OF_ALL:
            noted = arrays[names[metric]][rows]
            with np.errstate(all="ignore"):
                if metric in FORMULAS:
                    again = FORMULAS[metric](found, target)
                elif metric in ENSEMBLE_FORMULAS:
                    again = ENSEMBLE_FORMULAS[metric](members, target)
                else:
                    again = physics_values(metric, members, stored)
            if not _close(noted[finite], again[finite]):
                return Finding(what, "MISMATCH", f"{metric} of {model} differs from {STATISTICS}")
            compared += again[finite].size
    for metric, name in results.values.get(task, {}).get(TRUTH, {}).items():
        if metric in PHYSICS_FORMULAS:
            again = physics_values(metric, target[:, None], stored)
            if not _close(arrays[name][rows], again):
                return Finding(what, "MISMATCH", f"{metric} of the {TRUTH} differs from {STATISTICS}")
            compared += again.size
    return Finding(what, "ok", f"{compared} values of {len(target)} trajectories follow from {PREDICTIONS}")


def _same(one: float, other: float) -> bool:
    """Equal up to the order of summation; `metrics.json` has NaN for all that is not finite."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return not math.isfinite(one) and not math.isfinite(other)
    return math.isclose(one, other, rel_tol=SAME, abs_tol=1e-300)


def _close(one: Values, other: Values) -> bool:
    if one.shape != other.shape:
        return False
    # Spectra have values that are rounding errors of the largest one.
    scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=RECOMPUTED, atol=RECOMPUTED * 1e-6 * scale, equal_nan=True))
