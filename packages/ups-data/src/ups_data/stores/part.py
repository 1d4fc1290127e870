"""A file of a store: what its task knows about it, and the strides that turn its grid into the task's.

Strides follow from the file's own coordinates, so one reader serves native and already strided files, and a
file of another grid is rejected instead of misread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.info import TaskInfo
from ups_data.stores.layout import FieldFile, Head, Points

TOLERANCE = 1e-2
"""Of coordinates, in spacings: most files have float32 ones; a hundredth tells rounding from another grid."""


class Strides(NamedTuple):
    """Strides that turn a file's grid into the task's.

    Attributes:
        time: frames of the file from one frame of the task to the next.
        points: the points of an array `(..., *S)` that the task has.
        complete: whether these are all points of the file.
    """

    time: int
    points: tuple[Any, ...]
    complete: bool


class Part(NamedTuple):
    """A file of a store, with what the task knows about it from elsewhere.

    Attributes:
        file: the file.
        parameters: values by their names in the file, from the file's name or from the spec.
        given: where these values come from, for messages.
    """

    file: FieldFile
    parameters: Mapping[str, float] = {}
    given: str = "its name"


def strides_of(part: Part, info: TaskInfo, trajectories: int | None) -> Strides:
    """The strides of a file, which is compared with the task first.

    Args:
        part: the file.
        info: the problem; its grid and times select from those of the file.
        trajectories: how many the file must have; None for any number.

    Raises:
        UPSError: the file has other fields, parameters, points or times than the task.
    """
    _check(part, info, trajectories)
    strides = _space_strides(part, info)
    space = (slice(None, None, stride) for stride in strides)
    return Strides(_time_stride(part, info), (..., *space), all(stride == 1 for stride in strides))


def _check(part: Part, info: TaskInfo, trajectories: int | None) -> None:
    """Check the number of channels and trajectories, and the parameters."""
    head = part.file.head
    for what, found, wanted in (
        ("fields in time", head.channels, (*info.target_channels, *info.forcing_channels)),
        ("given fields", head.static, info.static_channels),
    ):
        if len(found) != len(wanted):
            names = ", ".join(channel.name for channel in wanted)
            raise part_error(
                part,
                f"has {len(found)} {what} ({', '.join(found) or 'none'}), "
                f"but the task has {len(wanted)} ({names or 'none'})",
            )
    if trajectories is not None and head.trajectories < trajectories:
        key = (*head.channels, *head.static)[0]
        raise UPSError(
            f"{part.file.path}: '{key}' has {head.trajectories} trajectories; "
            f"the task asks for {trajectories}"
        )
    for name, value in part.parameters.items():
        stored = head.parameters.get(name)
        if stored is not None and not np.isclose(stored, value).all():
            wrong = stored[~np.isclose(stored, value)][0]
            raise UPSError(
                f"{part.file.path}: {name} is {wrong:g} in the file but {value} in {part.given}; "
                "correct the name"
            )


def _space_strides(part: Part, info: TaskInfo) -> tuple[int, ...]:
    head = part.file.head
    if len(head.axes) != info.dim:
        raise part_error(part, f"has {len(head.axes)} axes of space, but the task has {info.dim}")
    strides = []
    for (key, points), wanted in zip(head.axes.items(), info.axes, strict=True):
        stride = _stride(points, wanted[1] - wanted[0] if len(wanted) > 1 else 0.0)
        spacing = min(np.diff(wanted), default=1.0)
        if not _same(points[::stride], wanted, TOLERANCE * float(spacing)):
            raise UPSError(
                f"{part.file.path}: '{key}' ({len(points)} points from {points[0]:g} to {points[-1]:g}) "
                f"does not contain the {len(wanted)} points of the task, "
                f"from {wanted[0]:g} to {wanted[-1]:g}"
            )
        strides.append(stride)
    return tuple(strides)


def _time_stride(part: Part, info: TaskInfo) -> int:
    head = part.file.head
    if info.frames < 2:
        return 1
    key, times = _times(part, head)
    stride = _stride(times, info.dt)
    last = (info.frames - 1) * stride
    if last >= head.frames:
        raise UPSError(
            f"{part.file.path}: '{head.channels[0]}' has {head.frames} frames, but {info.frames} frames "
            f"{stride} apart need {last + 1}"
        )
    wanted = [info.dt * frame for frame in range(info.frames)]
    found = times[: head.frames : stride][: info.frames]
    if not _same(found - found[0], wanted, TOLERANCE * info.dt):
        raise UPSError(
            f"{part.file.path}: '{key}' does not contain the {info.frames} frames {info.dt:g} apart "
            "of the task"
        )
    return stride


def _times(part: Part, head: Head) -> tuple[str, Points]:
    if not head.times:
        raise part_error(part, "has no times, but the task is an evolution")
    return next(iter(head.times.items()))


def part_error(part: Part, problem: str) -> UPSError:
    """An error that names the file of a part."""
    return UPSError(f"{part.file.path} {printable(problem)}")


def _stride(points: Points, wanted: float) -> int:
    """How many spacings of these points make the one that is wanted."""
    own = float(points[1] - points[0]) if len(points) > 1 else 0.0
    ratio = wanted / own if own > 0 else 1.0
    return max(1, round(min(ratio, len(points))))


def _same(found: Points, wanted: Sequence[float], tolerance: float) -> bool:
    return len(found) == len(wanted) and bool(np.abs(found - np.asarray(wanted)).max() < tolerance)
