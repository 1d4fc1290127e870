"""Compares our statistics of a training split with those that a data set of The Well comes with.

A difference means that the files are others than those that the statistics were computed from, or that the
reader is wrong; only ours are used.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from ups_core.console import Console
from ups_core.reading import UnsoundFile, read_text
from ups_data.info import Channel, TaskInfo
from ups_data.prepare.statistics import Statistics

MAX_BYTES = 1024**2
NOTICEABLE = 0.05
"""Difference, in standard deviations, from which a channel is reported."""


def compare_statistics(path: Path, info: TaskInfo, statistics: Statistics, console: Console) -> None:
    """Report, one line each, the channels with another mean or standard deviation in a `stats.yaml`.

    What the file lacks is reported in one line, and a file that cannot be read too.

    Args:
        path: the file, with the keys `mean` and `std`: field -> a number, or nested lists of components.
        info: the problem.
        statistics: of the training split.
        console: reports the differences.
    """
    try:
        content = yaml.safe_load(read_text(path, MAX_BYTES))
    except UnsoundFile as error:
        console.say(f"{info.name}: the statistics are not compared: {error}", "yellow")
        return
    except (yaml.YAMLError, RecursionError, ValueError):
        console.say(f"{info.name}: the statistics are not compared: {path} is not readable YAML", "yellow")
        return
    ours = statistics.target if info.kind == "steady" else statistics.state
    parts = ((info.target_channels, ours), (info.static_channels, statistics.static))
    missing: list[str] = []
    for channels, known in parts:
        for channel, mean, std in zip(channels, known.mean, known.std, strict=True):
            theirs = [_value(content, key, channel) for key in ("mean", "std")]
            if None in theirs:
                missing.append(channel.name)
            elif problem := _difference((mean, std), (theirs[0] or 0.0, theirs[1] or 0.0)):
                console.say(f"{info.name}: '{channel.name}' has {problem} in {path}", "yellow")
    if missing:
        console.say(f"{info.name}: {path} has no mean and standard deviation of {', '.join(missing)}")


def _value(content: Any, key: str, channel: Channel) -> float | None:
    """The number of a channel; None if there is none."""
    names = (key, channel.vector or channel.name)
    value: Any = content
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    for axis in channel.component:
        value = value[axis] if isinstance(value, list) and axis < len(value) else None
    try:
        number = float(value)  # YAML takes 1e-5 for text
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _difference(ours: tuple[float, float], theirs: tuple[float, float]) -> str:
    """What differs; "" if nothing does."""
    room = NOTICEABLE * ours[1]
    # The standard deviation of a constant field is set to 1, so it says nothing.
    constant = theirs[1] == 0 and ours[1] == 1
    if abs(ours[0] - theirs[0]) <= room and (constant or abs(ours[1] - theirs[1]) <= room):
        return ""
    return "mean {:.4g} and standard deviation {:.4g}, but {:.4g} and {:.4g}".format(*ours, *theirs)
