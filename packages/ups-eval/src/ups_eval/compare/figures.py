"""Curves of several runs on top of each other: one colour per arm, one line per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ups_eval.compare.arms import Arm
from ups_eval.report.curves import line
from ups_eval.report.style import PALETTE, dress, legend, new_figure, scale_values, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def arm_colours(arms: Sequence[Arm]) -> dict[str, str]:
    """One colour per arm."""
    return {arm.label: PALETTE[number % len(PALETTE)] for number, arm in enumerate(arms)}


def rollout_figure(arms: Sequence[Arm], task: str, colours: Mapping[str, str]) -> str | None:
    """Error of the models under test over time; None for a steady task."""
    figure = new_figure(6.4, 2.9)
    axes, everything = figure.subplots(), list[float]()
    for arm in arms:
        for number, item in enumerate(arm.scored):
            problem = item.results.problems.get(task)
            values = item.results.per_step.get(task, {}).get(item.results.model, [])
            if problem is None or len(values) < 2:
                continue
            times = [(problem.history + frame) * problem.dt for frame in range(len(values))]
            label = arm.label if number == 0 else None
            line(axes, times, values, label=label, color=colours[arm.label], alpha=0.8)
            everything += values
    return _finished(figure, everything, "time", "nRMSE", f"error over the rollout on {task}")


def training_figure(arms: Sequence[Arm], colours: Mapping[str, str]) -> str | None:
    """Validation error of the newest training stage with one; None if no run has any."""
    figure = new_figure(6.4, 2.9)
    axes, everything = figure.subplots(), list[float]()
    for arm in arms:
        for number, run in enumerate(arm.runs):
            logs = [
                log for log in run.training if "val/nrmse" in log.series and log.step not in run.baselines
            ]
            if not logs:
                continue
            steps, values = logs[-1].series["val/nrmse"]
            label = arm.label if number == 0 else None
            line(axes, steps, values, label=label, color=colours[arm.label], alpha=0.8)
            everything += values
    return _finished(
        figure, everything, "optimizer step", "validation nRMSE", "validation error over training"
    )


def _finished(figure: Figure, values: Sequence[float], x: str, y: str, what: str) -> str | None:
    """The figure as SVG; None if nothing was drawn."""
    if not values:
        return None
    (axes,) = figure.axes
    dress(axes, x=x, y=y, grid=True)
    scale_values(axes, values)
    legend(axes)
    return to_svg(figure, f"{what}, one line per run")
