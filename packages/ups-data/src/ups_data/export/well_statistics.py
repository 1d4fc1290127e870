"""The file `stats.yaml` of a dataset of The Well: statistics of every field over the training split."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ups_data.export.pieces import Piece
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.well_writer import Written, written_fields

KEYS = ("mean", "std", "rms", "mean_delta", "std_delta", "rms_delta")
"""Mean, standard deviation and root mean square of the fields and of their changes from frame to frame."""


class WellStatistics:
    """Sums over the blocks of all training files.

    Args:
        info: the problem.
    """

    def __init__(self, info: TaskInfo) -> None:
        self.dim = info.dim
        predicted = (*info.target_channels, *info.forcing_channels)
        self.fields = written_fields(predicted, info.dim, given=False)
        self.fields += written_fields(info.static_channels, info.dim, given=True)
        self.sums: dict[tuple[str, bool], NDArray[np.float64]] = {}

    def passing(self, piece: Piece) -> Iterable[Fields]:
        """The blocks of a file, which are counted on their way."""
        for block in piece.blocks():
            for item in self.fields:
                source = block.static if item.given else block.frames
                assert source is not None
                values = item.values(source, self.dim).astype(np.float64)
                self._add(item, False, values)
                if not item.given and values.shape[1] > 1:
                    self._add(item, True, np.diff(values, axis=1))
            yield block

    def _add(self, item: Written, change: bool, values: NDArray[np.float64]) -> None:
        """Add count, sum and sum of squares of every component."""
        numbers = values.reshape(-1, *[self.dim] * item.order)
        found = np.stack(
            [np.full(numbers.shape[1:], len(numbers)), numbers.sum(0), np.square(numbers).sum(0)]
        )
        key = item.name, change
        self.sums[key] = self.sums.get(key, np.zeros_like(found)) + found

    def write(self, path: Path) -> None:
        """Write the file: key -> field -> a number, or nested lists of components."""
        content: dict[str, dict[str, Any]] = {key: {} for key in KEYS}
        for (name, change), (count, total, squares) in self.sums.items():
            mean, square = total / count, squares / count
            std = np.sqrt(np.maximum(square - mean**2, 0.0))
            suffix = "_delta" if change else ""
            for key, values in (("mean", mean), ("std", std), ("rms", np.sqrt(square))):
                content[key + suffix][name] = values.tolist()
        path.write_text(yaml.safe_dump(content, sort_keys=False))
