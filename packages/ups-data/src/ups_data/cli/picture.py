"""`ups data inspect --plot`: the first, middle and last frame of some trajectories as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError, UsageError
from ups_data.cli.facts import facts_of
from ups_data.cli.guessed_boundary import sample
from ups_data.cli.guessing import guess
from ups_data.cli.layouts import recognise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAJECTORIES = 3
"""Trajectories to draw at most."""
PANEL = (3.0, 2.4)
"""Inches of one frame."""

Frames = list[tuple[str, NDArray[Any]]]
"""Title and field `(*S)` of every panel of a row."""


def check_target(path: Path) -> None:
    """Refuse a picture that cannot be drawn before data are read.

    Raises:
        UsageError: the ending is not `.png`.
        UPSError: matplotlib is not installed.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot {path} is not a .png file; give it that ending")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise UPSError("--plot needs matplotlib; install it with: pip install matplotlib") from None


def plot_file(source: Path, target: Path) -> None:
    """Draw a data file.

    Args:
        source: a file of a registered layout, or with arrays whose axes can be guessed.
        target: the picture; an existing one is replaced.

    Raises:
        UPSError: the axes of arrays cannot be guessed, or the file cannot be read.
    """
    from matplotlib.figure import Figure

    rows = _rows(source)
    columns = max(map(len, rows))
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, panels, strict=True):
        for place in axes[len(row) :]:
            place.set_axis_off()
        limits = (
            float(np.nanmin([field.min() for _, field in row])),
            float(np.nanmax([field.max() for _, field in row])),
        )
        for place, (title, field) in zip(axes, row, strict=False):
            place.set_title(title, fontsize=8)
            place.tick_params(labelsize=7)
            _draw(place, field, limits)
    figure.savefig(target, dpi=120)


def _draw(place: Axes, field: NDArray[Any], limits: tuple[float, float]) -> None:
    """A line in 1-D, an image in 2-D, the image of the middle slice in 3-D."""
    if field.ndim == 1:
        place.plot(field, linewidth=1)
        if limits[0] < limits[1]:
            place.set_ylim(limits[0], limits[1])
        return
    plane = field if field.ndim == 2 else field[..., field.shape[-1] // 2]
    place.imshow(plane.T, origin="lower", vmin=limits[0], vmax=limits[1])


def _rows(path: Path) -> list[Frames]:
    """A row for every channel of every trajectory."""
    frames, channels, given, names = _values(path)
    count = frames.shape[1]
    shown = sorted({0, count // 2, count - 1})
    rows: list[Frames] = []
    for number in range(len(frames)):
        if count == 1:
            fields = [(f"given {name}", given[number, entry]) for entry, name in enumerate(names)]
            fields += [(name, frames[number, 0, entry]) for entry, name in enumerate(channels)]
            # Given fields and solutions have scales of their own.
            rows += [[(f"{number}: {name}", field.astype(float))] for name, field in fields]
            continue
        rows += [
            [
                (f"{number}: {name}, frame {frame}", frames[number, frame, entry].astype(float))
                for frame in shown
            ]
            for entry, name in enumerate(channels)
        ]
    return rows


def _values(path: Path) -> tuple[NDArray[Any], list[str], NDArray[Any], list[str]]:
    """Frames `(n, T, C, *S)`, channels, given fields `(n, Cs, *S)` and their names."""
    recognised = recognise(path)
    if recognised is not None:
        head, file = recognised.file.head, recognised.file
        part = slice(0, min(TRAJECTORIES, head.trajectories))
        static = file.static(part) if head.static else np.empty((part.stop, 0))
        return file.frames(part, slice(0, head.frames)), list(head.channels), static, list(head.static)
    facts = facts_of(path)
    guesses = guess(facts)
    if guesses.axes.value is None:
        raise UPSError(f"{path}: cannot tell which axis is which for --plot ({guesses.axes.why})")
    found = sample(facts, guesses.axes.value, guesses.channels.value, guesses.static.value, TRAJECTORIES)
    if found is None:
        raise UPSError(f"{path}: the first trajectories are too large for a picture")
    names = list(guesses.static.value)
    given = [name for name in names if name in facts.fields]
    static = np.empty((len(found), 0))
    if given:
        values = sample(facts, guesses.axes.value, given, [], TRAJECTORIES)
        static = np.empty((len(found), 0)) if values is None else values[:, 0]
    channels = [
        name if guesses.entries == 1 else f"{name} {entry}"
        for name in guesses.channels.value
        for entry in range(guesses.entries)
    ]
    return found, channels, static, given[: static.shape[1]]
