"""The tables of scores on the page: values with intervals, and what is really best."""

from __future__ import annotations

from collections.abc import Sequence

from ups_eval.bootstrap import Sample, compare, estimate
from ups_eval.breakdown import Part, horizons, parameter_values, sample, untrained
from ups_eval.report.collect import Evaluation
from ups_eval.results import TRUTH
from ups_eval.tables import Cell, Row, format_number, format_ratio, metric_label

WORST = 5
"""Trajectories in the table of the worst."""


def headline_rows(evaluation: Evaluation) -> list[Row]:
    """nRMSE of every task and model, and the energy score of ensembles, with intervals."""
    results = evaluation.results
    return [
        _row(evaluation, task, metric, task if metric == "nrmse" else f"{task}: {metric_label(metric)}")
        for task in results.tasks
        for metric in dict.fromkeys(("nrmse", results.criterion))
    ]


def part_rows(evaluation: Evaluation, task: str) -> list[Row]:
    """nRMSE by horizon, then by parameter value, then by channel, where there are several."""
    results, arrays = evaluation.results, evaluation.statistics
    if task not in results.problems:
        return []
    probes = {"reconstruction": "the codec alone", "one_step": "single steps from the truth"}
    rows = [
        _row(evaluation, task, name, label)
        for name, label in probes.items()
        if results.value(task, results.model, name) is not None
    ]
    steps = horizons(results, task)
    if len(steps) > 1:
        rows += [
            _part(evaluation, task, Part(horizon=step), _frames(step, step == steps[-1])) for step in steps
        ]
    values = parameter_values(results, arrays, task)
    if len(values) > 1 or any(untrained(results, task, where) for where in values):
        rows += [
            _part(evaluation, task, Part(where=where), _where(evaluation, task, where)) for where in values
        ]
    channels = results.problems[task].channels
    if len(channels) > 1:
        rows += [_part(evaluation, task, Part(channel=name), f"channel {name}") for name in channels]
    return rows


def physics_rows(evaluation: Evaluation, task: str) -> list[Row]:
    """Physics metrics; the first cell is that of the true solution."""
    results = evaluation.results
    rows = []
    for metric in (*results.physics, "semigroup"):
        cells = [results.value(task, model, metric) for model in (TRUTH, *results.models)]
        if any(value is not None for value in cells):
            texts = [
                "0" if metric == "semigroup" else format_number(cells[0]),
                *map(format_number, cells[1:]),
            ]
            rows.append(Row(metric, tuple(Cell(text) for text in texts)))
    return rows


def worst_rows(evaluation: Evaluation, task: str) -> list[Row]:
    """The trajectories on which the model under test errs most, the worst first."""
    results, arrays = evaluation.results, evaluation.statistics
    errors = results.per_sample.get(task, {})
    mine = errors.get(results.model)
    if mine is None or task not in results.problems:
        return []
    params = arrays[results.problems[task].params]
    order = sorted(range(len(mine)), key=lambda row: -mine[row])[: min(WORST, len(mine))]
    rows = []
    for place in order:
        names = results.problems[task].parameters
        words = "".join(f", {name} = {value:.3g}" for name, value in zip(names, params[place], strict=True))
        label = f"trajectory {results.trajectories[task][place]}{words}"
        cells = (format_number(errors[model][place]) if model in errors else "–" for model in results.models)
        rows.append(Row(label, tuple(map(Cell, cells))))
    return rows


def all_rows(evaluation: Evaluation, task: str) -> list[Row]:
    """Every metric of one task, but for those of other tables."""
    results = evaluation.results
    elsewhere = {*results.physics, "semigroup", "one_step", "reconstruction"}
    return [
        _row(evaluation, task, metric, metric, intervals=False)
        for metric in results.metric_names
        if metric not in elsewhere
    ]


def best_models(evaluation: Evaluation, task: str, metric: str, samples: dict[str, Sample]) -> set[str]:
    """The best of a row, if the trajectories tell it from the next one; none where the metric cannot tell.

    The error of the sum says nothing about models that conserve it by construction, and persistence has the
    spectrum of the given frame.
    """
    results = evaluation.results
    best = results.best(task, metric)
    if best is None or len(results.models) < 2:
        return set()
    known = [model for model in results.models if results.value(task, model, metric) is not None]
    conserved = f"{task}/{TRUTH}/mean_drift" in results.metrics
    if (
        len(known) < 2
        or (metric == "crmse" and conserved)
        or (metric, best) == ("spectrum_error", "persistence")
    ):
        return set()
    for other, theirs in samples.items():
        if other != best and best in samples and samples[best].reduction == "mean":
            found = compare([samples[best]], [theirs], "difference", seed_spread=None)
            if found.known and found.low <= 0 <= found.high:
                return set()
    return {best}


def _row(evaluation: Evaluation, task: str, metric: str, label: str, intervals: bool = True) -> Row:
    results = evaluation.results
    samples = {
        model: one
        for model in results.models
        if (one := sample(results, evaluation.statistics, task, model, metric)) is not None
    }
    best = best_models(evaluation, task, metric, samples)
    cells = []
    for model in results.models:
        text = format_number(results.value(task, model, metric))
        if diverged := results.diverged(task, model):
            text = f"∞ ({diverged} diverged)"
        ratio = ""
        if intervals and model != "persistence" and metric == "nrmse":
            ratio = format_ratio(results.ratio(task, model, metric=metric))
        interval = _interval([samples[model]]) if intervals and model in samples else ""
        cells.append(Cell(text, ratio, best=model in best, interval=interval))
    return Row(label, tuple(cells))


def _part(evaluation: Evaluation, task: str, part: Part, label: str) -> Row:
    results = evaluation.results
    cells = []
    for model in results.models:
        one = sample(results, evaluation.statistics, task, model, "nrmse", part)
        cells.append(Cell("–") if one is None else Cell(format_number(one.value), interval=_interval([one])))
    return Row(label, tuple(cells))


def _interval(samples: Sequence[Sample]) -> str:
    found = estimate(samples)
    return f"{format_number(found.low)} to {format_number(found.high)}" if found.known else ""


def _frames(count: int, everything: bool) -> str:
    if everything:
        return f"all {count} frames"
    return "the first frame" if count == 1 else f"the first {count} frames"


def _where(evaluation: Evaluation, task: str, where: dict[str, float]) -> str:
    words = ", ".join(f"{name} = {value:.4g}" for name, value in where.items())
    outside = untrained(evaluation.results, task, where)
    return f"{words} (out of distribution: {'; '.join(outside)})" if outside else words
