"""What `ups data check SPEC` measures of one split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Moments

Array = NDArray[np.float32]


@dataclass
class Extent:
    """What is measured of a channel in a split."""

    low: float = float("inf")
    high: float = float("-inf")
    moments: Moments = field(default_factory=Moments)

    def add(self, values: Array) -> None:
        """Add all values."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.moments.add(values)


class SplitAudit:
    """What is measured of a split."""

    def __init__(self, info: TaskInfo) -> None:
        self.info = info
        names = [channel.name for channel in (*info.static_channels, *info.target_channels)]
        self.trajectories = 0
        self.channels = {name: Extent() for name in names}
        self.jump = 0.0
        self.jump_at = ""

    def add(
        self, numbers: NDArray[np.int64], frames: NDArray[np.float32], static: NDArray[np.float32]
    ) -> None:
        """Add complete trajectories with these numbers."""
        self.trajectories += len(numbers)
        given = len(self.info.static_channels)
        for entry, extent in enumerate(self.channels.values()):
            extent.add(static[:, entry] if entry < given else frames[:, :, entry - given])
        if frames.shape[1] < 3:
            return
        axes = tuple(range(3, frames.ndim))
        changes = np.sqrt(np.mean(np.square(np.diff(frames.astype(np.float64), axis=1)), axis=axes))
        medians = np.median(changes, axis=1, keepdims=True)
        ratios = np.divide(changes, medians, out=np.zeros_like(changes), where=medians > 0)
        place = np.unravel_index(int(ratios.argmax()), ratios.shape)
        if ratios[place] > self.jump:
            self.jump = float(ratios[place])
            channel = self.info.target_channels[int(place[2])].name
            self.jump_at = f"'{channel}', trajectory {numbers[place[0]]}, from frame {place[1]}"

    def to_dict(self, parameters: NDArray[np.float64]) -> dict[str, Any]:
        """Plain data, with the ranges of the parameters `(n, P)` of its trajectories."""
        names = [parameter.name for parameter in self.info.parameters]
        return {
            "trajectories": self.trajectories,
            "largest_jump": {"of_median": self.jump, "at": self.jump_at} if self.jump else None,
            "channels": {
                name: {"min": extent.low, "max": extent.high, "constant": extent.moments.constant}
                for name, extent in self.channels.items()
                if extent.moments.count
            },
            "parameters": {
                name: [float(parameters[:, entry].min()), float(parameters[:, entry].max())]
                for entry, name in enumerate(names)
                if len(parameters)
            },
        }
