"""What the heads of files and the options of a spec say together about a problem, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ups_core import UPSError
from ups_core.mistakes import did_you_mean
from ups_data.info import Channel, Sides, TaskInfo
from ups_data.tasks.files_config import FilesConfig

if TYPE_CHECKING:
    from ups_data.stores.layout import Head, Points

TOLERANCE = 1e-3
"""Of spacings, relative to their mean: float32 coordinates of 10,000 points differ by less."""


def frames_and_step(config: FilesConfig, head: Head, path: Path) -> tuple[int, float]:
    """Frames and the time between them.

    Raises:
        UPSError: the times are not evenly spaced, or there are too few.
    """
    name, times = next(iter(head.times.items()))
    steps = [float(step) for step in times[1:] - times[:-1]]
    mean = (float(times[-1]) - float(times[0])) / max(1, len(times) - 1)
    if any(abs(step - mean) > 10 * TOLERANCE * mean for step in steps):
        worst = max(range(len(steps)), key=lambda number: abs(steps[number] - mean))
        raise UPSError(
            f"{path}: the times '{name}' are not evenly spaced: a step of {steps[worst]:g} after frame "
            f"{worst}, {mean:g} on average; interpolate to constant steps"
        )
    available = -(-head.frames // config.time_stride)
    frames = config.frames or available
    if frames > available:
        raise UPSError(
            f"{path}: has {head.frames} frames, but {frames} frames {config.time_stride} apart need "
            f"{(frames - 1) * config.time_stride + 1}"
        )
    if frames <= config.history:
        raise UPSError(f"{path}: has {frames} frames, but history {config.history} leaves none to predict")
    return frames, mean * config.time_stride


def boundary_of(config: FilesConfig, axes: Sequence[str], head: Head, path: Path) -> tuple[Sides, ...]:
    """The boundary at both ends of every axis, from the spec or else from the file.

    Raises:
        UPSError: neither says it, or the spec names other axes than the file has.
    """
    given = config.boundary
    if given is None:
        return _stored_boundary(axes, head, path)
    if isinstance(given, str):
        return ((given, given),) * len(axes)
    words: dict[str, Any] = {str(axis): word for axis, word in given.items()}
    missing = [axis for axis in axes if axis not in words]
    extra = [axis for axis in words if axis not in axes]
    if missing or extra:
        raise UPSError(
            f"{path}: boundary names the axes {', '.join(words)}, but the data have {', '.join(axes)}"
        )
    return tuple((words[axis],) * 2 if isinstance(words[axis], str) else words[axis] for axis in axes)


def _stored_boundary(axes: Sequence[str], head: Head, path: Path) -> tuple[Sides, ...]:
    """The boundaries that a file has."""
    if head.boundary is None:
        raise UPSError(f"{path}: the file does not say its boundaries; set boundary")
    for axis, words in zip(axes, head.boundary, strict=True):
        for end, word in zip(("low", "high"), words, strict=True):
            if not word:
                raise UPSError(
                    f"{path}: the file does not give one boundary at the {end} end of axis {axis}; "
                    "set boundary"
                )
    return tuple(cast("Sides", words) for words in head.boundary)  # TaskInfo checks the words


def ends_of(config: FilesConfig, axis: str, points: Points, sides: Sides) -> tuple[float, float]:
    """The ends of an axis: as given, or those of its points, one spacing further where it is periodic.

    Raises:
        UPSError: points are beyond the given ends.
    """
    first, last = float(points[0]), float(points[-1])
    given: Mapping[str, tuple[float, float]] = getattr(config, "domain", {})
    if axis in given:
        low, high = given[axis]
        slack = TOLERANCE * (high - low)
        if first < low - slack or last > high + slack:
            raise UPSError(
                f"the points along {axis} go from {first:g} to {last:g}, beyond its domain ({low:g}, "
                f"{high:g})"
            )
        return low, high
    spacing = (last - first) / max(1, len(points) - 1)
    return first, last + (spacing if sides[0] == "periodic" else 0.0)


def points_of(points: Points) -> tuple[float, ...]:
    """The first and the last of evenly spaced points, else all of them."""
    if len(points) < 3:
        return (float(points[0]), float(points[-1]))
    steps = points[1:] - points[:-1]
    if float(abs(steps - steps.mean()).max()) <= 10 * TOLERANCE * float(steps.mean()):
        return (float(points[0]), float(points[-1]))
    return tuple(map(float, points))


def channels_of(config: FilesConfig, head: Head) -> tuple[Channel, ...]:
    """Given fields, fields to predict and forcings of a file.

    Raises:
        UPSError: an option names a channel that is not there.
    """
    places = {
        channel: (vector, (axis,))
        for vector, names in config.vectors.items()
        for axis, channel in enumerate(names)
    }
    every = (*head.channels, *head.static)
    for name in (*places, *config.units, *config.forcing, *config.positive):
        if (
            name not in every
            and name not in config.parameters
            and "{" + name + "}" not in config.file_pattern
        ):
            raise UPSError(f"no channel '{name}'{did_you_mean(name, list(every))}")

    def described(name: str, role: Any) -> Channel:
        stored = head.components.get(name, ("", ()))
        vector, component = places.get(name, stored)
        return Channel(name, config.units.get(name, "1"), role, vector, component, name in config.positive)

    given = [described(name, "coefficient") for name in head.static]
    role = "state" if head.times else "target"
    wanted = [described(name, role) for name in head.channels if name not in config.forcing]
    forcing = [described(name, "forcing") for name in head.channels if name in config.forcing]
    return (*given, *wanted, *forcing)


def check_same_problem(info: TaskInfo, like: TaskInfo, path: Path) -> None:
    """Check that files of another split have the same problem; their grid and length may differ.

    Raises:
        UPSError: they have another one.
    """
    slack = [
        TOLERANCE * (high - low) + step for (low, high), step in zip(like.domain, like.spacing, strict=True)
    ]
    problem = ""
    if [channel.name for channel in info.channels] != [channel.name for channel in like.channels]:
        problem = f"has the channels {', '.join(channel.name for channel in info.channels)}"
    elif [item.name for item in info.parameters] != [item.name for item in like.parameters]:
        problem = f"has the parameters {', '.join(item.name for item in info.parameters) or 'none'}"
    elif info.dim != like.dim:
        problem = f"has {info.dim} axes of space"
    elif info.sides != like.sides:
        problem = f"has the boundary {info.sides}, not {like.sides}"
    elif abs(info.dt - like.dt) > 10 * TOLERANCE * like.dt:
        problem = f"has frames {info.dt:g} apart, not {like.dt:g}"
    elif any(
        abs(ours - theirs) > room
        for mine, other, room in zip(info.domain, like.domain, slack, strict=True)
        for ours, theirs in zip(mine, other, strict=True)
    ):
        problem = f"has the domain {info.domain}, not {like.domain}"
    if problem:
        raise UPSError(f"{path} {problem}; all splits need the same problem")
