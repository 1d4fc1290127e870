"""Normalisation statistics of a task, from its training trajectories only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ups_data.prepare.conditions import Conditions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_RELATIVE_STD = 1e-6
"""Standard deviation over mean below which float32 fields are constant up to rounding."""

SAME = 1e-3
"""Difference of two normalisers, relative to the standard deviation, that makes no other model."""


def _check(values: tuple[float, ...], above: float) -> None:
    bad = [value for value in values if not (math.isfinite(value) and value > above)]
    if bad:
        raise ValueError(f"{bad[0]} is not a finite number above {above:g}")


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of every channel; empty if a task has no such channels."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check(self.mean, -math.inf)
        _check(self.std, 0.0)

    def agrees_with(self, other: ChannelStatistics) -> bool:
        """Whether both agree to a thousandth of the standard deviation."""
        return len(self.std) == len(other.std) and all(
            max(abs(mean - other_mean), abs(std - other_std)) <= SAME * std
            for mean, other_mean, std, other_std in zip(
                self.mean, other.mean, self.std, other.std, strict=True
            )
        )


@dataclass(frozen=True)
class Statistics:
    """Statistics of one task over all its parameter values; a round trip through JSON changes nothing.

    Attributes:
        state: channels that evolve (empty when steady).
        static: coefficient channels (empty if there are none).
        forcing: channels that are given at every frame (empty if there are none).
        target: channels to predict; equal to `state` for an evolution.
        delta: standard deviation of one-frame differences of each state channel (empty when steady).
        mean_field: mean of a steady solution in every cell, `(C, *S)` in row-major order; empty for
            an evolution.
        conditions: what training varies besides the fields; None if that is not known.

    Raises:
        ValueError: a number is not finite, or a standard deviation is not positive.
    """

    state: ChannelStatistics = ChannelStatistics()
    static: ChannelStatistics = ChannelStatistics()
    target: ChannelStatistics = ChannelStatistics()
    delta: tuple[float, ...] = ()
    mean_field: tuple[float, ...] = ()
    conditions: Conditions | None = None
    forcing: ChannelStatistics = ChannelStatistics()

    def __post_init__(self) -> None:
        _check(self.delta, 0.0)
        _check(self.mean_field, -math.inf)

    def normalises_as(self, other: Statistics) -> bool:
        """Whether means and standard deviations of all channels agree to a thousandth of the latter."""
        return all(
            ours.agrees_with(theirs)
            for ours, theirs in (
                (self.state, other.state),
                (self.static, other.static),
                (self.target, other.target),
                (self.forcing, other.forcing),
                (ChannelStatistics(self.delta, self.delta), ChannelStatistics(other.delta, other.delta)),
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Statistics:
        """The inverse of :meth:`to_dict`."""

        def read(channels: Mapping[str, Any]) -> ChannelStatistics:
            return ChannelStatistics(tuple(channels["mean"]), tuple(channels["std"]))

        conditions = data.get("conditions")
        return cls(
            state=read(data["state"]),
            static=read(data["static"]),
            target=read(data["target"]),
            forcing=read(data["forcing"]) if "forcing" in data else ChannelStatistics(),  # new in 0.2
            delta=tuple(data["delta"]),
            mean_field=tuple(data.get("mean_field", ())),
            conditions=None if conditions is None else Conditions.from_dict(conditions),
        )


@dataclass
class Moments:
    """Running mean and variance in float64.

    Pieces are merged by the pairwise formula of Chan, Golub and LeVeque ("Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances", 1979), so their order hardly matters.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = field(default=0.0, repr=False)

    def add(self, values: NDArray[np.floating]) -> None:
        """Add all elements of an array."""
        if not values.size:
            return
        # About this piece's own mean: sums of squares would cancel for a small spread on a large mean.
        mean = float(values.mean(dtype="float64"))
        squares = float(((values - mean) ** 2).sum(dtype="float64"))
        total = self.count + values.size
        step = mean - self.mean
        self.squares += squares + step**2 * self.count * values.size / total
        self.mean += step * values.size / total
        self.count = total

    @property
    def std(self) -> float:
        """Standard deviation; 0 without values."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    @property
    def constant(self) -> bool:
        """Whether the standard deviation is rounding error only."""
        return self.std <= MIN_RELATIVE_STD * max(abs(self.mean), 1e-30)

    @property
    def scale(self) -> float:
        """The standard deviation, or 1 for a constant field, so that dividing by it is always safe."""
        return 1.0 if self.constant else self.std


def statistics_of(channels: Sequence[Moments]) -> ChannelStatistics:
    """The statistics of channels, in their order."""
    return ChannelStatistics(
        tuple(moments.mean for moments in channels), tuple(moments.scale for moments in channels)
    )


class FieldMean:
    """Running mean in every cell, in float64."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: NDArray[np.float64] | None = None

    def add(self, fields: NDArray[np.floating]) -> None:
        """Add fields `(n, C, *S)`."""
        total = fields.sum(axis=0, dtype="float64")
        self._sum = total if self._sum is None else self._sum + total
        self._count += len(fields)

    def values(self) -> tuple[float, ...]:
        """The mean in row-major order, to the digits of float32; empty without fields."""
        if self._sum is None or not self._count:
            return ()
        return tuple(float(f"{value:.8g}") for value in (self._sum / self._count).ravel())
