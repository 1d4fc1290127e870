"""Initial states in files of a registered layout, such as those of PDEBench and The Well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UsageError
from ups_data.cli.layouts import Recognised, families, family_of
from ups_data.info import Channel
from ups_data.stores.layout import Head
from ups_models.prediction.array_input import thinned
from ups_models.prediction.expects import Expects

Points = NDArray[np.float64]


class LayoutInput:
    """Initial states in a file that a registered layout reads; see :class:`ArrayInput` for the attributes.

    Args:
        path: the file.
        recognised: the same, opened.
        expects: what the model takes.
        stride: stored points from one point to the next.

    Raises:
        UsageError: a field is missing, or the file has other axes than the model takes.
    """

    def __init__(self, path: Path, recognised: Recognised, expects: Expects, stride: int) -> None:
        self.path = path
        self._file = recognised.file
        self._stride = stride
        head, task = self._file.head, expects.task
        if len(head.axes) != task.dim:
            raise UsageError(f"{path} has {len(head.axes)} axes of space; {expects.line}")
        evolving = (*task.state_channels, *task.forcing_channels)
        self._places = _matched(path, head.channels, evolving, expects)
        self._given = _matched(path, head.static, task.static_channels, expects)
        self.count = head.trajectories
        self.lines: Mapping[int, Points] = {
            number: points[::stride] for number, points in enumerate(head.axes.values())
        }
        self.shape = tuple(map(len, self.lines.values()))
        self.times = next((points[: head.frames] for points in head.times.values()), None)
        self.parameters: Mapping[str, Points] = _parameters(path, head, expects)
        self.note = f"layout {recognised.layout}: {', '.join((*head.channels, *head.static))}"

    def frames(self, channel: Channel) -> int:
        """Stored frames of a channel."""
        return self._file.head.frames

    def read(self, channels: Sequence[Channel], rows: slice, frames: slice) -> NDArray[Any]:
        """Numbers of some channels, `(n, T, C, *S)`."""
        if all(channel.name in self._given for channel in channels):
            values = self._file.static(rows)[:, None]
            values = values[:, :, [self._given[channel.name] for channel in channels]]
        else:
            values = self._file.frames(rows, frames)[:, :, [self._places[item.name] for item in channels]]
        return thinned(values, self._stride, len(self.shape))


def _parameters(path: Path, head: Head, expects: Expects) -> dict[str, Points]:
    """Values of the model's parameters in the file or, as PDEBench has them, in its name."""
    found = dict(head.parameters)
    if (match := family_of(path)) is not None:
        names = [parameter.name for parameter in families()[match[0]].parameters]
        found |= {name: np.asarray([value]) for name, value in zip(names, match[1], strict=False)}
    return {item.name: found[item.name] for item in expects.task.parameters if item.name in found}


def _matched(path: Path, found: Sequence[str], wanted: Sequence[Channel], expects: Expects) -> dict[str, int]:
    """Place of every wanted channel: by its name, or by position where there are as many."""
    names = [channel.name for channel in wanted]
    if all(name in found for name in names):
        return {name: found.index(name) for name in names}
    if len(found) == len(names):
        return {name: place for place, name in enumerate(names)}
    raise UsageError(f"{path} has the fields {', '.join(found) or 'none'}; {expects.line}")
