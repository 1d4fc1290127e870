"""Line figures: training over time, and error over the frames of a rollout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ups_eval.report.collect import TrainingLog
from ups_eval.report.style import PALETTE, dress, legend, new_figure, scale_values, to_svg
from ups_eval.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def training_figure(log: TrainingLog) -> str | None:
    """The log of one stage as SVG, each kind of number on its own axes; None if it is empty."""
    groups = {
        "loss": [name for name in log.series if name.startswith("train/") and name.endswith("loss")],
        "validation nRMSE": [
            name for name in log.series if name.startswith("val/") and name.endswith("nrmse")
        ],
        "validation energy score": [
            name for name in log.series if name.startswith("val/") and name.endswith("energy_score")
        ],
        "gradient cosine of the tasks": [name for name in log.series if name == "train/gradient_cosine"],
        "learning rate": [name for name in log.series if name == "lr" or name.startswith("lr/")],
    }
    panels = {title: names for title, names in groups.items() if names}
    if not panels:
        return None
    figure = new_figure(3.4 * len(panels) + 0.2, 2.5)
    for axes, (title, names) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for i, name in enumerate(names):
            line(axes, *log.series[name], label=_short(name), color=PALETTE[i % len(PALETTE)])
        dress(axes, title=title, x="optimizer step", grid=True)
        scale_values(axes, [value for name in names for value in log.series[name][1]])
        if len(names) > 1 or title == "validation nRMSE":
            legend(axes)
    return to_svg(figure, f"training curves of {log.step}: {', '.join(panels)} against optimizer steps")


def rollout_figure(
    results: Results, task: str, colours: Mapping[str, str], history: int, dt: float
) -> str | None:
    """nRMSE against time for every model on one task as SVG; None for a single frame (a steady task).

    Args:
        results: of an evaluation step.
        task: name of the task.
        colours: model -> colour.
        history: given frames before the first predicted one.
        dt: time between frames.
    """
    curves = results.per_step[task]
    if max(map(len, curves.values())) < 2:
        return None
    figure = new_figure(6.4, 2.9)
    axes = figure.subplots()
    for model, values in curves.items():
        times = [(history + step) * dt for step in range(len(values))]
        style = "--" if model == "persistence" else "-"
        line(axes, times, values, label=model, color=colours[model], linestyle=style)
    dress(axes, x="time", y="nRMSE", grid=True)
    scale_values(axes, [value for values in curves.values() for value in values])
    legend(axes)
    ends = ", ".join(f"{model} {values[-1]:.3g}" for model, values in curves.items())
    return to_svg(figure, f"error over the rollout on {task}; at the last frame: {ends}")


def line(axes: Axes, x: Sequence[float], y: Sequence[float], **style: Any) -> None:
    """Draw a line through the finite points, with markers if they are few."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]
    marker = "o" if len(points) < 15 else ""
    axes.plot(
        [a for a, _ in points], [b for _, b in points], linewidth=1.5, marker=marker, markersize=3, **style
    )


def _short(name: str) -> str:
    """`val/advection1d/nrmse` and `train/advection1d/loss` as `advection1d`, `train/loss` as `mean`."""
    parts = [
        part for part in name.split("/") if part not in ("train", "val", "nrmse", "energy_score", "loss")
    ]
    return "/".join(parts) or "mean"
