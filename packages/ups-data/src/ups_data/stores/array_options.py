"""How the arrays of a file map to trajectories: the options of the layout and of the task `arrays`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ups_core import Config

SPACE = ("x", "y", "z")
AXES = ("trajectory", "time", "channel", *SPACE)
LETTERS = {"n": "trajectory", "b": "trajectory", "t": "time", "c": "channel"} | {axis: axis for axis in SPACE}

Axis = Literal["x", "y", "z"]
Interval = tuple[float, float]


def axis_names(given: object) -> object:
    """Names of axes from a list of names or letters, or from a text of letters such as `ntxc`."""
    if isinstance(given, str):
        given = [part for part in (given.replace(",", " ").split() or [])]
        if len(given) == 1 and given[0] not in AXES:
            given = list(given[0])
    if isinstance(given, list | tuple):
        return [LETTERS.get(name, name) if isinstance(name, str) else name for name in given]
    return given


def named(given: object) -> object:
    """A mapping from names to names; a name or a list of names stands for names that stay the same."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, list | tuple):
        return {name: name for name in given}
    return given


AxisNames = Annotated[
    list[Literal["trajectory", "time", "channel", "x", "y", "z"]], BeforeValidator(axis_names)
]
Names = Annotated[dict[str, str], BeforeValidator(named)]


class ArrayOptions(Config):
    """Which arrays of a file are which fields, and which axis is which."""

    axes: AxisNames = Field(min_length=1)
    """Axes of the arrays in the order in which they are stored: `trajectory`, `time`, `channel`, `x`, `y`,
    `z`, or the letters `n t c x y z`. Without a `trajectory` axis a file has one trajectory; without `time`
    the problem is steady."""
    channels: Names = Field(min_length=1)
    """Fields to predict: name of the channel -> name of the array, or the names of arrays. Channels of one
    array are the entries of its `channel` axis, in order. A `.npy` file has one array, called `array`."""
    static: Names = {}
    """Given fields (a medium, a mask, a force): name -> array, with the axes above without `time`, and
    without `channel` or `trajectory` where the array has none. A steady problem needs one or more."""
    coordinates: dict[Literal["x", "y", "z", "time"], str] = {}
    """Axis -> array with its coordinates."""
    dt: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Time between stored frames, where no array has the times."""
    domain: dict[Axis, Interval] = {}
    """Axis -> its ends; required without coordinates, else by default the ends of the coordinates, and one
    spacing more where the axis is periodic."""
    grid: Literal["cells", "nodes", "edges"] = "cells"
    """Places of the points on an axis without coordinates: `cells` for the centres of equal cells, `nodes`
    for evenly spaced points from one end to the other, both included, `edges` for the same without the last
    one."""
    complex: Literal["real", "parts"] | None = None
    """What becomes of complex arrays: `real` drops the imaginary part, `parts` makes two channels of each,
    `NAME_re` and `NAME_im`. By default a negligible imaginary part is dropped, and any other is an error."""

    @field_validator("axes")
    @classmethod
    def _once(cls, axes: list[str]) -> list[str]:
        twice = next((axis for axis in axes if axes.count(axis) > 1), None)
        if twice:
            raise ValueError(f"axes names '{twice}' twice; every axis has a name of its own")
        space = [axis for axis in SPACE if axis in axes]
        if space != list(SPACE[: len(space)]) or not space:
            raise ValueError(f"axes has the axes {space} of space; use x, or x and y, or x, y and z")
        return axes

    @model_validator(mode="after")
    def _fit_together(self) -> ArrayOptions:
        if "time" not in self.axes and not self.static:
            raise ValueError(
                "axes has no 'time', so the problem is steady and needs given fields; name them in static"
            )
        shared = {array for array in self.channels.values() if list(self.channels.values()).count(array) > 1}
        if shared and "channel" not in self.axes:
            raise ValueError(
                f"array '{min(shared)}' holds several channels, but axes has no 'channel'; add it to axes"
            )
        both = sorted(set(self.channels) & set(self.static))
        if both:
            raise ValueError(f"'{both[0]}' is among channels and static; give it once")
        unknown = [axis for axis in (*self.domain, *self.coordinates) if axis not in self.axes]
        if unknown:
            raise ValueError(f"'{unknown[0]}' is not among axes {self.axes}; remove it or name it there")
        if self.dt is not None and "time" in self.coordinates:
            raise ValueError("dt and coordinates.time both give the times; remove one")
        return self

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the axes of space, in their order."""
        return tuple(axis for axis in SPACE if axis in self.axes)

    @property
    def arrays(self) -> Mapping[str, list[str]]:
        """Array -> its channels."""
        return _by_array(self.channels)

    @property
    def given(self) -> Mapping[str, list[str]]:
        """Array -> its given fields."""
        return _by_array(self.static)


def _by_array(names: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, array in names.items():
        found.setdefault(array, []).append(name)
    return found
