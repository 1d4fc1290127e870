"""Figures of fields: truth, prediction and error of one stored trajectory.

1-D evolutions are images over position and time with the last frame as lines; 2-D fields are images of the
last frame; 3-D fields are shown by their middle slice. Steady tasks show the coefficient first, or the points
that are known of it. Of an ensemble a member and the members' standard deviation are shown too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ups_eval.predictions import TaskPredictions
from ups_eval.report.style import INK, dress, new_figure, to_svg
from ups_eval.tables import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Field = NDArray[np.float32]

MAX_CHANNELS = 4
"""Rows of one figure; further channels are omitted."""

MAX_PIXELS = 256
"""Longest side of an embedded image."""

BAND = (0.05, 0.95)
"""Quantiles of an ensemble's members between which its band lies."""


class View(NamedTuple):
    """One channel of one stored trajectory.

    Attributes:
        row: of the trajectory.
        channel: number of the target channel.
        name: of the channel, with its unit.
    """

    task: TaskPredictions
    row: int
    channel: int
    name: str


def sample_figure(task: TaskPredictions, row: int, model: str, colours: Mapping[str, str]) -> str:
    """Truth, prediction and error of one stored trajectory as SVG, one line of panels per channel.

    Args:
        task: its stored trajectories.
        row: of the trajectory.
        model: name of the predicting model.
        colours: model -> colour.
    """
    channels = task.info.target_channels[:MAX_CHANNELS]
    steady_lines = task.info.kind == "steady" and task.info.dim == 1
    height = (2.35 if task.info.dim == 1 else 2.0) * len(channels)
    if steady_lines:
        widths = [1.33, 1.33]
    elif task.info.dim == 1:
        widths = [0.93, 0.93, 0.93, 1.21]
    else:
        widths = [1.0] * (6 if model in task.members else 4)
    figure = new_figure(2.4 * sum(widths), height + 0.3)
    grid = figure.subplots(len(channels), len(widths), squeeze=False, width_ratios=widths)
    for line, (channel, axes) in enumerate(zip(channels, grid, strict=True)):
        name = f"{channel.name} [{channel.unit}]" if channel.unit not in ("", "1") else channel.name
        view = View(task, row, line, name)
        if steady_lines:
            _steady_lines(axes, view, colours)
        elif task.info.dim == 1:
            _space_time(axes, view, model, colours)
        else:
            _images(axes, view, model)
    if task.info.dim == 1:
        lines, labels = grid[0][0 if steady_lines else 3].get_legend_handles_labels()
        figure.legend(
            lines,
            labels,
            loc="outside lower right",
            ncols=len(labels),
            fontsize=7.5,
            frameon=False,
            labelcolor=INK,
        )
    error = format_number(float(task.nrmse[model][row]))
    return to_svg(
        figure, f"truth, {model} and error on trajectory {task.index[row]} of {task.info.name}, nRMSE {error}"
    )


def times(task: TaskPredictions) -> NDArray[np.float64]:
    """Physical time of every predicted frame."""
    frames = np.arange(task.target.shape[1], dtype=np.float64)
    return (frames + task.info.history) * task.info.dt


def positions(task: TaskPredictions) -> NDArray[np.float64]:
    """Coordinate of every grid point of a 1-D task."""
    return np.asarray(task.coords[:, 0], dtype=np.float64)


def colour_limits(truth: Field) -> tuple[float, float]:
    """Range of the truth: a prediction beyond it saturates instead of flattening the image."""
    known = truth[np.isfinite(truth)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def plane(field: Field) -> Field:
    """A field as an image of at most :data:`MAX_PIXELS` per side; of a 3-D field the middle slice."""
    if field.ndim == 3:
        field = field[:, :, field.shape[2] // 2]
    steps = [max(1, -(-size // MAX_PIXELS)) for size in field.shape]
    return field[:: steps[0], :: steps[1]]


def _space_time(axes: Any, view: View, model: str, colours: Mapping[str, str]) -> None:
    task, row, channel, name = view
    truth, prediction = task.target[row, :, channel], task.predictions[model][row, :, channel]
    when = times(task)
    extent = (*task.info.domain[0], when[0] - task.info.dt / 2, when[-1] + task.info.dt / 2)
    images = (
        (f"truth: {name}", truth, None),
        (model, prediction, None),
        ("error", prediction - truth, "error"),
    )
    for panel, (title, values, kind) in zip(axes, images, strict=False):
        _image(panel, plane(values), truth, extent, kind)
        dress(panel, title=title, x="x", y="time" if title.startswith("truth") else "")
    last = axes[3]
    where = positions(task)
    last.plot(where, truth[-1], color=INK, linewidth=2.6, alpha=0.35, label="truth")
    for other, predicted in task.predictions.items():
        last.plot(
            where,
            predicted[row, -1, channel],
            color=colours[other],
            label=other,
            linewidth=1.3 if other == model else 0.8,
            linestyle="--" if other == "persistence" else "-",
        )
    if model in task.members:
        low, high = np.quantile(task.members[model][row, :, -1, channel], BAND, axis=0)
        last.fill_between(where, low, high, color=colours[model], alpha=0.2, linewidth=0)
    _clip(last, truth[-1])
    dress(last, title=f"last frame, t = {when[-1]:.3g}", x="x", grid=True)


def _images(axes: Any, view: View, model: str) -> None:
    task, row, channel, name = view
    truth, prediction = task.target[row, -1, channel], task.predictions[model][row, -1, channel]
    extent = (*task.info.domain[0], *task.info.domain[1])
    if task.info.kind == "evolution":
        given, label = task.state[row, -1, channel], f"given: {name}"
        target = f"truth, t = {times(task)[-1]:.3g}"
    elif task.static.shape[1]:
        # A field of which only some points are known is stored with gaps.
        known = [np.isfinite(field).any() for field in task.static[row]].index(True)
        given, target = task.static[row, known], f"truth: {name}"
        label = f"given: {task.info.static_channels[known].name}"
    else:
        given, label, target = None, "", f"truth: {name}"
    panels = ((label, given, given), (target, truth, truth), (model, prediction, truth))
    for panel, (title, values, limits) in zip(axes, panels, strict=False):
        if values is None:
            panel.set_axis_off()
            continue
        _image(panel, plane(values).T, plane(limits), extent, None)
        dress(panel, title=title, x="x", y="y" if title == label or given is None else "")
        panel.set_aspect("equal")
    others: list[tuple[str, Field, Field, str | None]] = [("error", prediction - truth, truth, "error")]
    if (members := task.members.get(model)) is not None:
        fields = members[row, :, -1, channel]
        spread = fields.std(axis=0)
        others += [("a member", fields[0], truth, None), ("spread", spread, spread, None)]
    for panel, (title, values, limits, kind) in zip(axes[3:], others, strict=True):
        _image(panel, plane(values).T, plane(limits), extent, kind)
        dress(panel, title=title, x="x")
        panel.set_aspect("equal")


def _steady_lines(axes: Any, view: View, colours: Mapping[str, str]) -> None:
    task, row, channel, name = view
    truth, where = task.target[row, 0, channel], positions(task)
    axes[0].plot(where, truth, color=INK, linewidth=2.6, alpha=0.35, label="truth")
    for other, predicted in task.predictions.items():
        axes[0].plot(where, predicted[row, 0, channel], color=colours[other], linewidth=1.3, label=other)
        axes[1].plot(where, predicted[row, 0, channel] - truth, color=colours[other], linewidth=1.3)
    _clip(axes[0], truth)
    dress(axes[0], title=name, x="x", grid=True)
    dress(axes[1], title="error", x="x", grid=True)


def _image(
    axes: Axes, values: Field, truth: Field, extent: tuple[float, float, float, float], kind: str | None
) -> None:
    """One image with its colour bar; the scale of an error is centred on zero."""
    from matplotlib.ticker import ScalarFormatter

    # Truth and prediction share the truth's scale, so that equal colours mean equal values.
    if kind == "error":
        finite = np.abs(values[np.isfinite(values)])
        top = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        limits, colours = (-top, top), "RdBu_r"
    else:
        limits, colours = colour_limits(truth), "viridis"
    image = axes.imshow(
        values,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="none",
    )
    exponents = ScalarFormatter()
    exponents.set_powerlimits((-2, 3))
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.06, format=exponents)
    assert bar.solids is not None
    bar.solids.set_rasterized(True)  # otherwise 256 rectangles in the SVG
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=7, width=0.6)
    bar.ax.yaxis.get_offset_text().set(color=INK, fontsize=7)


def _clip(axes: Axes, truth: Field) -> None:
    """Keep the truth visible if a prediction diverges."""
    low, high = colour_limits(truth)
    margin = 0.4 * (high - low)
    axes.set_ylim(low - margin, high + margin)
