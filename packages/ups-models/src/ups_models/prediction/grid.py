"""Grids that a trained model is applied on: its own, another of the same domain, or one that is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ups_core import UsageError
from ups_data.info import TaskInfo
from ups_data.stores.array_options import SPACE

Points = NDArray[np.float64]

SPACING_FACTOR = 1.1
"""Factor between the spacings of two grids from which a simulator warns."""
TOLERANCE = 1e-2
"""Of coordinates, in spacings: rounding of float32, not another grid."""


class Grid(NamedTuple):
    """Coordinates of the points along every axis, and what a user should know about them."""

    points: tuple[Points, ...]
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along every axis."""
        return tuple(map(len, self.points))


def grid_of(
    task: TaskInfo, shape: Sequence[int], given: Mapping[int, ArrayLike] | None = None, where: str = "grid"
) -> Grid:
    """The grid of fields, with the training grid's coordinates or those of another grid like it.

    Args:
        task: the problem that the model was trained on.
        shape: points of the fields along every axis.
        given: number of an axis -> the coordinates of its points, where they are known.
        where: names the place of the coordinates in messages.

    Raises:
        UsageError: the coordinates are not those of the model's domain, or the grid is uneven and not the
            training grid.
    """
    points, notes = [], []
    for axis, cells in enumerate(shape):
        if given is not None and axis in given:
            line = np.asarray(given[axis], dtype=np.float64).ravel()
            note = _check_line(task, axis, cells, line, where)
            notes += [note] if note else []
        else:
            line = _alike(task, axis, cells)
        points.append(line)
    if tuple(shape) != task.shape:
        problem = spacing_problem(task, tuple(shape))
        notes.append(
            problem
            or f"task '{task.name}': the grid {_text(shape)} is not the training grid {_text(task.shape)}"
        )
    return Grid(tuple(points), tuple(notes))


def spacing_problem(task: TaskInfo, shape: tuple[int, ...]) -> str | None:
    """A warning for a grid of another spacing than that of training; None if the spacing is similar."""
    ratio = max((ours / new for ours, new in zip(task.shape, shape, strict=True)), key=_distance)
    if _distance(ratio) <= SPACING_FACTOR:
        return None
    return (
        f"task '{task.name}': the grid {_text(shape)} has {ratio:.3g} times the spacing of the training grid "
        f"{_text(task.shape)}; the model was not trained for it, and its error can be many times larger"
    )


def _alike(task: TaskInfo, axis: int, cells: int) -> Points:
    """Coordinates of points that lie in their cells as those of the training grid do."""
    own = np.asarray(task.axes[axis], dtype=np.float64)
    if cells == len(own):
        return own
    name = SPACE[axis]
    if not task.uniform[axis]:
        raise UsageError(
            f"the fields have {cells} points along {name}, but the model was trained on {len(own)} that are "
            "not evenly spaced; interpolate the fields to them"
        )
    (low, high), spacing = task.domain[axis], task.spacing[axis]
    if cells < 2 or len(own) < 2:
        raise UsageError(f"the fields have {cells} point along {name}; the model expects {len(own)}")
    before, after = (own[0] - low) / spacing, (high - own[-1]) / spacing
    wide = (high - low) / (cells - 1 + before + after)
    points: Points = low + wide * (before + np.arange(cells, dtype=np.float64))
    return points


def _check_line(task: TaskInfo, axis: int, cells: int, line: Points, where: str) -> str | None:
    """Check coordinates along an axis; a note where they are not the training grid's."""
    name, own = SPACE[axis], np.asarray(task.axes[axis])
    what = f"{where}: {len(line)} coordinates along {name}"
    if len(line) != cells:
        raise UsageError(f"{what}, but the fields have {cells} points")
    if not np.isfinite(line).all() or (np.diff(line) <= 0).any():
        raise UsageError(f"{what} that do not increase or are not finite")
    if len(line) == len(own) and np.abs(line - own).max() <= TOLERANCE * np.diff(own).min(initial=np.inf):
        return None
    low, high = task.domain[axis]
    steps = np.diff(line)
    expected = (
        f"the model was trained on {len(own)} points from {own[0]:g} to {own[-1]:g} in [{low:g}, {high:g}]"
    )
    what += f" from {line[0]:g} to {line[-1]:g}"
    if len(line) < 2 or not task.uniform[axis] or steps.max() > (1 + TOLERANCE) * steps.mean():
        raise UsageError(f"{what} are not its grid or not evenly spaced; {expected}")
    spacing, room = float(steps.mean()), TOLERANCE * float(steps.mean())
    before, after = (line[0] - low) / spacing, (high - line[-1]) / spacing
    wraps = task.periodic[axis]
    if min(before, after) < -TOLERANCE or max(before, after) > 1 + TOLERANCE:
        raise UsageError(f"{what} do not cover the model's domain; {expected}")
    if wraps and abs(len(line) * spacing - (high - low)) > 10 * room:
        raise UsageError(
            f"{what} cover {len(line) * spacing:g} of a periodic domain of {high - low:g}; {expected}"
        )
    if len(line) == len(own):
        shift = np.abs(line - own).max() / task.spacing[axis]
        where = f"the points along {name} differ by {shift:.2g} spacings from the training grid"
        return f"task '{task.name}': {where}"
    return None


def _distance(ratio: float) -> float:
    """A ratio or its inverse, whichever is larger."""
    return max(ratio, 1 / ratio)


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
