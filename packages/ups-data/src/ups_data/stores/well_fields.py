"""The fields of a file of The Well: which array shapes their flags allow, and which channels they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUPS = ("t0_fields", "t1_fields", "t2_fields")
"""Groups of the scalar, vector and tensor fields; the place of a group is the order of its fields."""
AXIS = "xyz"


@dataclass(frozen=True)
class WellField:
    """A dataset of fields and the channels that it becomes.

    Attributes:
        key: the dataset in its file.
        sample_varying: whether it has an axis of trajectories.
        time_varying: whether it has an axis of time.
        grid: points along every spatial axis; 1 where the field is constant along it.
        order: 0 for a scalar, 1 for a vector, 2 for a tensor; components are along the last axes.
        components: the spatial axes of every component that becomes a channel; `((),)` for a scalar.
        dtype: of the numbers.
    """

    key: str
    sample_varying: bool
    time_varying: bool
    grid: tuple[int, ...]
    order: int
    components: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]

    @property
    def name(self) -> str:
        """The name without its group."""
        return self.key.partition("/")[2]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels: `velocity_x` for a component along the first axis."""
        letters = ("".join(AXIS[axis] for axis in component) for component in self.components)
        return tuple(f"{self.name}_{suffix}" if suffix else self.name for suffix in letters)

    def selection(self, rows: slice, frames: slice) -> tuple[slice, ...]:
        """What to read of the dataset."""
        chosen = ((rows, self.sample_varying), (frames, self.time_varying))
        return tuple(part for part, varies in chosen if varies)

    def canonical(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Numbers `(n, T, C, *S)`; an axis along which the field does not vary has length 1.

        Args:
            raw: what :meth:`selection` reads.
        """
        leading = iter(raw.shape)
        lead = [next(leading) if varies else 1 for varies in (self.sample_varying, self.time_varying)]
        dim = len(self.grid)
        # Shapes that the flags allow differ in axes of length 1 only, so they have the same order of numbers.
        values = raw.reshape(*lead, *self.grid, dim**self.order)
        places = [sum(axis * dim**power for power, axis in enumerate(reversed(c))) for c in self.components]
        return np.moveaxis(values[..., places], -1, 2)


def channel_components(
    order: int, dim: int, symmetric: bool, antisymmetric: bool
) -> tuple[tuple[int, ...], ...]:
    """The components that become channels: of a symmetric tensor those on and above the diagonal, of an
    antisymmetric one those above it, of any other field all.

    Args:
        order: 0, 1 or 2.
        dim: number of spatial axes.
        symmetric: whether component ij equals ji.
        antisymmetric: whether component ij equals -ji.
    """
    every = tuple(product(range(dim), repeat=order))
    if order == 2 and (symmetric or antisymmetric):
        return tuple((i, j) for i, j in every if i < j or (symmetric and i == j))
    return every


def allowed_shapes(
    lead: Sequence[int], shape: Sequence[int], varying: Sequence[bool], order: int
) -> list[tuple[int, ...]]:
    """Shapes that a dataset may have: an axis along which the field is constant has length 1 or is dropped,
    and the components of a tensor are along two axes or one.

    Args:
        lead: lengths of the axes of trajectories and time that it has.
        shape: points along every spatial axis.
        varying: whether the field varies along every spatial axis.
        order: 0, 1 or 2.
    """
    dim = len(shape)
    tails: list[tuple[int, ...]] = [(dim,) * order] + ([(dim**2,)] if order == 2 else [])
    choices = [[(points,)] if varies else [(1,), ()] for points, varies in zip(shape, varying, strict=True)]
    grids = [sum(choice, ()) for choice in product(*choices)]
    return list(dict.fromkeys((*lead, *grid, *tail) for tail in tails for grid in grids))
