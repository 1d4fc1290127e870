"""What the arrays of a file are, before anything is guessed: coordinates, fields, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.stores.array_files import ArrayFile, NamedArray

COORDINATES = {
    "x": ("x", "xs", "xx", "lon", "longitude"),
    "y": ("y", "ys", "yy", "lat", "latitude"),
    "z": ("z", "zs", "zz", "height", "depth", "level"),
    "time": ("t", "ts", "tt", "time", "times", "tspan"),
}
"""Axis -> usual names of its coordinate, without words such as `grid` and `coordinate`."""
FILLER = re.compile(r"coordinates?|coords?|grid|points?|mesh|[^a-z]")
GIVEN = {"x", "a", "k", "nu", "mu", "f", "coeff", "coef", "coefficient", "coefficients", "input", "inputs"}
GIVEN |= {"permeability", "conductivity", "diffusivity", "source", "force", "forcing", "mask", "medium"}
"""Names of fields that are usually given."""
WANTED = {"y", "u", "sol", "solution", "solutions", "output", "outputs", "target", "targets", "label"}
"""Names of fields that are usually to be found."""
LOOKED_AT = 256 * 1024**2
"""Bytes of an array up to which it is read to tell whether it has two values only, or is a mesh."""
EVEN = 1e-2
"""Largest change of a spacing, relative to the mean one, of a coordinate that is recognised by its values."""


@dataclass(frozen=True)
class Line:
    """A coordinate.

    Attributes:
        array: its array.
        axis: the axis that its name tells; None if it tells none.
        points: its increasing numbers.
        usable: whether the array itself is a line; a mesh only has the points of one.
    """

    array: str
    axis: str | None
    points: NDArray[np.float64]
    usable: bool = True

    @property
    def even(self) -> bool:
        """Whether the points are evenly spaced."""
        steps = np.diff(self.points)
        return bool(np.abs(steps - steps.mean()).max() <= EVEN * steps.mean())


@dataclass(frozen=True)
class Facts:
    """What is in a file with arrays.

    Attributes:
        path: the file.
        fields: name -> shape of the arrays that may be fields, those of the largest shape.
        others: name -> shape of further arrays with two axes or more.
        lines: coordinates.
        numbers: arrays with one axis that are not coordinates, or with one number -> how many numbers.
        two_valued: fields and others with two different values only, or Boolean.
        imaginary: complex array -> largest imaginary part, relative to the largest number.
    """

    path: Path
    fields: Mapping[str, tuple[int, ...]]
    others: Mapping[str, tuple[int, ...]]
    lines: Sequence[Line]
    numbers: Mapping[str, int] = field(default_factory=dict)
    two_valued: frozenset[str] = frozenset()
    imaginary: Mapping[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the fields."""
        return next(iter(self.fields.values()))

    @property
    def timed(self) -> bool:
        """Whether the file has the times of an axis."""
        return any(line.axis == "time" and len(line.points) in self.shape for line in self.lines)


def facts_of(path: Path) -> Facts:
    """Look into a file.

    Raises:
        UPSError: it cannot be read, or no array can be a field.
    """
    arrays = ArrayFile(path)
    lines: list[Line] = []
    numbers: dict[str, int] = {}
    grids: dict[str, NamedArray] = {}
    for name, array in arrays.items():
        if 0 in array.shape:
            continue
        if sum(length > 1 for length in array.shape) > 1:
            grids[name] = array
        elif (points := line_of(array)) is not None:
            lines.append(Line(name, axis_of(name), points))
        else:
            numbers[name] = math.prod(array.shape)
    if not grids:
        shapes = ", ".join(f"{printable(name)} {array.shape}" for name, array in arrays.items())
        raise UPSError(f"{path} has no array with two axes or more, so no field (found {shapes})")
    meshes = [mesh for name, array in grids.items() if (mesh := _mesh(name, array, len(grids))) is not None]
    for mesh in meshes:
        del grids[mesh.array]
    largest = max(grids.values(), key=lambda array: math.prod(array.shape)).shape
    return Facts(
        path,
        {name: array.shape for name, array in grids.items() if array.shape == largest},
        {name: array.shape for name, array in grids.items() if array.shape != largest},
        [*lines, *meshes],
        numbers,
        frozenset(name for name, array in grids.items() if _two_valued(array)),
        {name: _imaginary(array) for name, array in grids.items() if array.dtype.kind == "c"},
    )


def line_of(array: NamedArray) -> NDArray[Any] | None:
    """The points of a coordinate: increasing numbers along one axis, also where others have length 1."""
    if sum(length > 1 for length in array.shape) != 1 or array.dtype.kind in "bc":
        return None
    points = array[(slice(None),) * len(array.shape)].ravel()
    return points if np.isfinite(points).all() and (np.diff(points) > 0).all() else None


def axis_of(name: str) -> str | None:
    """The axis whose coordinate has a name like this one."""
    plain = FILLER.sub("", name.rsplit("/", 1)[-1].lower())
    return next((axis for axis, names in COORDINATES.items() if plain in names), None)


def _mesh(name: str, array: NamedArray, grids: int) -> Line | None:
    """The coordinate that a mesh repeats along all other axes; None if the array is not a mesh."""
    axis = axis_of(name)
    if axis is None or grids == 1 or array.dtype.kind in "bc" or array.nbytes > LOOKED_AT:
        return None
    values = array[(slice(None),) * len(array.shape)]
    for place, length in enumerate(array.shape):
        line = np.moveaxis(values, place, 0).reshape(length, -1)
        points = line[:, 0].astype(np.float64)
        if length > 1 and (np.diff(points) > 0).all() and (line == line[:, :1]).all():
            return Line(name, axis, points, usable=False)
    return None


def _two_valued(array: NamedArray) -> bool:
    if array.dtype.kind == "b":
        return True
    if array.dtype.kind == "c" or array.nbytes > LOOKED_AT:
        return False
    values = array[(slice(None),) * len(array.shape)]
    low, high = values.min(), values.max()
    return bool(low < high and ((values == low) | (values == high)).all())


def _imaginary(array: NamedArray) -> float:
    values = array[(slice(0, max(1, LOOKED_AT // max(1, array.nbytes // len(array)))),)]
    return float(np.abs(values.imag).max() / max(float(np.abs(values).max()), 1e-300))
