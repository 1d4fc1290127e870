"""The scores of a task as bars with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ups_eval.bootstrap import estimate
from ups_eval.breakdown import sample
from ups_eval.report.collect import Evaluation
from ups_eval.report.style import INK, dress, new_figure, plain_log_ticks, to_svg
from ups_eval.tables import format_number, metric_label


def score_bars(evaluation: Evaluation, task: str, colours: Mapping[str, str]) -> str | None:
    """Bars of all models with finite scores as SVG; None if fewer than two have one.

    The axis is logarithmic where scores span a factor of ten; then bars start below the smallest end.
    """
    results, metric = evaluation.results, evaluation.results.criterion
    shown = []
    for model in results.models:
        value = results.value(task, model, metric)
        if value is not None and math.isfinite(value):
            one = sample(results, evaluation.statistics, task, model, metric)
            shown.append((model, value, None if one is None else estimate([one])))
    if len(shown) < 2:
        return None
    figure = new_figure(4.6, 0.55 + 0.32 * len(shown))
    axes = figure.subplots()
    values = [value for _, value, _ in shown]
    for row, (model, value, found) in enumerate(reversed(shown)):
        axes.barh(row, value, height=0.62, color=colours[model])
        if found is not None and found.known:
            low, high = max(found.low, 0.0), found.high
            axes.plot([low, high], [row, row], color=INK, linewidth=1.2)
    if min(values) > 0 and max(values) >= 10 * min(values):
        ends = [found.low for _, _, found in shown if found is not None and found.known and found.low > 0]
        axes.set_xscale("log")
        axes.set_xlim(left=0.5 * min([*values, *ends]))
        plain_log_ticks(axes.xaxis, *axes.get_xlim())
    axes.set_yticks(range(len(shown)), [model for model, _, _ in reversed(shown)])
    dress(axes, x=metric_label(metric), title=task, grid=True)
    axes.grid(False, axis="y")
    text = ", ".join(f"{model} {format_number(value)}" for model, value, _ in shown)
    return to_svg(figure, f"{metric_label(metric)} on {task} with 95 % intervals: {text}")
