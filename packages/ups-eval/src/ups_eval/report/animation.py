"""Animated rollouts as GIF: truth and prediction side by side.

A GIF plays everywhere and needs no script. It cannot follow the colours of the page, so it is drawn once for
a light page and once for a dark one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ups_eval.predictions import TaskPredictions
from ups_eval.report.field_figures import colour_limits, plane, positions, times
from ups_eval.report.style import Theme, dress, legend, new_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

MAX_BYTES = 700_000
"""Size above which frames are omitted."""

COLOURS = 48
"""Palette of a GIF: enough for smooth lines and a colour map."""

SECONDS = 5.0
"""Duration of one pass."""


@dataclass(frozen=True)
class Film:
    """A figure with artists that are drawn for every frame, over a background drawn once.

    Attributes:
        figure: holds background and artists.
        moving: artists that change.
        show: sets the artists to a frame.
    """

    figure: Figure
    moving: Sequence[Artist]
    show: Callable[[int], None]


def rollout_gif(
    task: TaskPredictions, row: int, model: str, colours: Mapping[str, str], theme: Theme
) -> bytes:
    """The rollout of one stored trajectory of an evolution task, first channel.

    Args:
        task: its stored trajectories.
        row: of the trajectory.
        model: name of the predicting model.
        colours: model -> colour.
        theme: of the page.
    """
    film = (
        _lines(task, row, model, colours, theme) if task.info.dim == 1 else _images(task, row, model, theme)
    )
    frames = task.target.shape[1]
    # Frames are what a GIF's size is made of; fewer of them still show the motion.
    for count in (40, 20, 10):
        chosen = np.unique(np.linspace(0, frames - 1, min(frames, count)).round().astype(int)).tolist()
        gif = _encode(film, chosen)
        if len(gif) <= MAX_BYTES:
            break
    return gif


def _lines(task: TaskPredictions, row: int, model: str, colours: Mapping[str, str], theme: Theme) -> Film:
    truth, where, when = task.target[row, :, 0], positions(task), times(task)
    prediction = task.predictions[model][row, :, 0]
    figure = new_figure(5.6, 2.7, paper=theme.paper)
    axes = figure.subplots()
    axes.plot(where, task.state[row, -1, 0], color=theme.ink, linewidth=0.8, linestyle=":", label="given")
    (true,) = axes.plot(where, truth[0], color=theme.ink, linewidth=3, alpha=0.35, label="truth")
    (predicted,) = axes.plot(where, truth[0], color=colours[model], linewidth=1.4, label=model)
    low, high = colour_limits(truth)
    axes.set_ylim(low - 0.3 * (high - low), high + 0.3 * (high - low))
    dress(axes, title=" ", x="x", y=task.info.target_channels[0].name, grid=True, ink=theme.ink)
    legend(axes, theme.ink)
    clock = _clock(axes, theme)

    def show(frame: int) -> None:
        true.set_ydata(truth[frame])
        predicted.set_ydata(prediction[frame])
        clock.set_text(f"t = {when[frame]:.3f}")

    return Film(figure, (true, predicted, clock), show)


def _images(task: TaskPredictions, row: int, model: str, theme: Theme) -> Film:
    truth, prediction, when = task.target[row, :, 0], task.predictions[model][row, :, 0], times(task)
    figure = new_figure(6.4, 3.2, paper=theme.paper)
    low, high = colour_limits(truth)
    pictures = []
    panels = figure.subplots(1, 2)
    for axes, title in zip(panels, ("truth", model), strict=True):
        image = axes.imshow(
            plane(truth[0]).T,
            origin="lower",
            extent=(*task.info.domain[0], *task.info.domain[1]),
            vmin=low,
            vmax=high,
            cmap="viridis",
        )
        pictures.append(image)
        dress(axes, title=title, x="x", y="y" if title == "truth" else "", ink=theme.ink)
    clock = _clock(panels[0], theme, x=0.5)

    def show(frame: int) -> None:
        for picture, fields in zip(pictures, (truth, prediction), strict=True):
            picture.set_data(plane(fields[frame]).T)
        clock.set_text(f"t = {when[frame]:.3f}")

    return Film(figure, (*pictures, clock), show)


def _clock(axes: Axes, theme: Theme, x: float = 0.0) -> Text:
    """The time, above the axes."""
    return axes.text(x, 1.03, "", transform=axes.transAxes, fontsize=9, color=theme.ink)


def _encode(film: Film, frames: list[int]) -> bytes:
    """Draw and encode the frames; the last one stays for a second."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    film.figure.set_dpi(100)
    canvas = FigureCanvasAgg(film.figure)
    # Animated artists are left out of draw(): axes and labels are drawn once and copied for every frame.
    for artist in film.moving:
        artist.set_animated(True)
    canvas.draw()  # type: ignore[no-untyped-call]
    background = canvas.copy_from_bbox(film.figure.bbox)  # type: ignore[no-untyped-call]
    images = []
    for frame in frames:
        canvas.restore_region(background)  # type: ignore[no-untyped-call]
        film.show(frame)
        for artist in film.moving:
            film.figure.draw_artist(artist)
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
        images.append(Image.fromarray(pixels).quantize(colors=COLOURS, dither=Image.Dither.NONE))
    # Browsers slow down animations with frames shorter than about 40 ms.
    pause = max(40, int(1000 * SECONDS / len(images)))
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        loop=0,
        optimize=False,
        duration=[pause] * (len(images) - 1) + [1000],
    )
    return buffer.getvalue()
