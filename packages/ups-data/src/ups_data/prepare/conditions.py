"""What a training varies besides the fields: inputs that it never varies must not change a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Range = tuple[float, float]
"""Smallest and largest value."""


@dataclass(frozen=True)
class Conditions:
    """The inputs of a task in its train split; a round trip through JSON changes nothing.

    Attributes:
        parameters: range of the values of every PDE parameter.
        unknown: for every parameter, whether it is unknown in some samples.
        dt: range of the time between frames.
        augmented: whether batches are transformed by the task's symmetries, which may mirror the grid.
    """

    parameters: tuple[Range, ...]
    unknown: tuple[bool, ...]
    dt: Range
    augmented: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conditions:
        """The inverse of :meth:`to_dict`."""
        return cls(
            tuple((float(low), float(high)) for low, high in data["parameters"]),
            tuple(bool(unknown) for unknown in data["unknown"]),
            (float(data["dt"][0]), float(data["dt"][1])),
            bool(data["augmented"]),
        )
