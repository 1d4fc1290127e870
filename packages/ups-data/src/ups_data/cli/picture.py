"""`ups data inspect --plot`: the first, middle and last frame of some trajectories as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError, UsageError
from ups_data.cli.layouts import recognise
from ups_data.guesses.boundary import sample
from ups_data.guesses.facts import facts_of
from ups_data.guesses.guess import guess

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

    rows, steady = _rows(source)
    columns = max(map(len, rows))
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes in zip(rows, panels, strict=True):
        for place in axes[len(row) :]:
            place.set_axis_off()
        # Frames share a scale; given fields and solutions have scales of their own.
        together = _limits([field for _, field in row])
        for place, (title, field) in zip(axes, row, strict=False):
            place.set_title(title, fontsize=8)
            place.tick_params(labelsize=7)
            _draw(place, field, _limits([field]) if steady else together)
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


def _limits(fields: list[NDArray[Any]]) -> tuple[float, float]:
    """Smallest and largest finite value."""
    numbers = np.concatenate([field[np.isfinite(field)] for field in fields])
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)


def _rows(path: Path) -> tuple[list[Frames], bool]:
    """A row for every channel of every trajectory, or for every steady sample; and whether it is steady."""
    frames, channels, given, names = _values(path)
    count = frames.shape[1]
    if count == 1:
        samples = [
            [
                *((f"{number}: given {name}", sample[entry]) for entry, name in enumerate(names)),
                *((f"{number}: {name}", frames[number, 0, entry]) for entry, name in enumerate(channels)),
            ]
            for number, sample in enumerate(given)
        ]
        return [[(title, field.astype(float)) for title, field in row] for row in samples], True
    shown = sorted({0, count // 2, count - 1})
    rows = [
        [(f"{number}: {name}, frame {place}", trajectory[place, entry].astype(float)) for place in shown]
        for number, trajectory in enumerate(frames)
        for entry, name in enumerate(channels)
    ]
    return rows, False


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
        raise UPSError(
            f"{path}: cannot tell which axis is which for --plot ({guesses.axes.why.split(';')[0]})"
        )
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
