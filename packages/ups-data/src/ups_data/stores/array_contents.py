"""What a file of named arrays will have, before it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Variable:
    """One array of a file.

    Attributes:
        name: its name.
        axes: names of its axes.
        values: its numbers; None for a float32 array that is written block by block.
        attributes: such as `units`.
    """

    name: str
    axes: tuple[str, ...]
    values: Array | None = None
    attributes: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """What a file will have.

    Attributes:
        sizes: axis -> its length.
        variables: the arrays; one that is named like its only axis has the coordinates of that axis.
        attributes: of the file.
        block: axis -> length of the blocks that are written; complete axes may be left out.
    """

    sizes: Mapping[str, int]
    variables: tuple[Variable, ...]
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    block: Mapping[str, int] = field(default_factory=dict)

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """The shape of an array."""
        return tuple(self.sizes[axis] for axis in variable.axes)

    def chunks(self, variable: Variable) -> tuple[int, ...]:
        """The shape of the blocks that an array is written in."""
        return tuple(min(self.sizes[axis], self.block.get(axis, self.sizes[axis])) for axis in variable.axes)

    @property
    def blockwise(self) -> tuple[Variable, ...]:
        """Arrays that are written block by block."""
        return tuple(variable for variable in self.variables if variable.values is None)

    @property
    def nbytes(self) -> int:
        """Size of the arrays that are written block by block."""
        return 4 * sum(math.prod(self.shape(variable)) for variable in self.blockwise)

    @property
    def described(self) -> dict[str, Any]:
        """Attributes of the file, and of every array with the names of its axes, as plain data."""
        arrays = {item.name: {"axes": list(item.axes), **item.attributes} for item in self.variables}
        return {**self.attributes, "arrays": arrays}
