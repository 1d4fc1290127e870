"""The boundaries of a file of The Well: groups of masks become words for both ends of every axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ups_data.stores.layout import Points
from ups_data.stores.well_items import WellItems

TYPES = ("periodic", "wall", "open")
"""Values of `bc_type`, in lower case; they are words of :data:`ups_data.info.Boundary`."""

MAX_MASK = 512 * 1024**2
"""Limit of points of a mask, which is read as a whole."""


class BoundaryGroup(NamedTuple):
    """One group of `boundary_conditions`.

    Attributes:
        kind: one of :data:`TYPES`.
        axes: the spatial axes of the mask.
        mask: where the boundary is, for the axes in their order.
    """

    kind: str
    axes: tuple[int, ...]
    mask: NDArray[np.bool_]


def sides_of(groups: Iterable[BoundaryGroup], dim: int) -> tuple[tuple[str, str], ...]:
    """Words for the low and the high end of every axis.

    An end has the type of the group with a mask that is True on all of it. A group with a mask that is False
    everywhere makes its axes open where no other group has an end. Masks inside the domain (obstacles) give
    no end a type.

    Args:
        groups: all groups of a file.
        dim: number of spatial axes.

    Returns:
        A word for every end; "" where no group gives it one, or two groups give it different ones.
    """
    found: dict[tuple[int, int], set[str]] = {(axis, end): set() for axis in range(dim) for end in (0, -1)}
    unmasked: set[int] = set()
    for kind, axes, mask in groups:
        if not mask.any():
            unmasked |= set(axes)
        for place, axis in enumerate(axes):
            for end in (0, -1):
                if mask.take(end, axis=place).all():
                    found[axis, end].add(kind)

    def word(axis: int, end: int) -> str:
        kinds: Any = found[axis, end] or ({"open"} if axis in unmasked else set())
        return str(*kinds) if len(kinds) == 1 else ""

    return tuple((word(axis, 0), word(axis, -1)) for axis in range(dim))


def read_boundary(
    file: WellItems, axes: Mapping[str, Points], trajectories: int, frames: int
) -> tuple[tuple[str, str], ...] | None:
    """Words for both ends of every axis, as :func:`sides_of` has them; None if the file has no boundaries.

    Args:
        file: the file.
        axes: name of every spatial axis -> its points.
        trajectories: of the file.
        frames: of a trajectory.

    Raises:
        UPSError: a group is not as it should be.
    """
    parent = file.group("boundary_conditions")
    if parent is None or not len(parent):
        return None
    lengths = {"sample_varying": trajectories, "time_varying": frames}
    names, groups = list(axes), []
    for name in sorted(parent):
        key = f"boundary_conditions/{name}"
        group = file.group(name, parent)
        assert group is not None
        kind, dims = file.text(group, "bc_type"), file.texts(group, "associated_dims")
        if kind not in TYPES:
            raise file.error(f"the bc_type of '{key}' is '{kind}'; known: {', '.join(TYPES)}")
        if not dims or not set(dims) <= set(names):
            raise file.error(
                f"the associated_dims of '{key}' are {', '.join(dims) or 'none'}, but the axes are "
                f"{', '.join(names)}"
            )
        lead = [length for flag, length in lengths.items() if file.flag(group, flag, default=False)]
        mask, wanted = file.dataset("mask", group), (*lead, *(len(axes[dim]) for dim in dims))
        if mask.shape != wanted or mask.dtype.kind not in "biu" or mask.size > MAX_MASK:
            raise file.error(
                f"'{key}/mask' has shape {mask.shape} and type {mask.dtype}; expected {wanted} and bool"
            )
        values: Any = np.asarray(mask[()], dtype=bool).reshape(-1, *wanted[len(lead) :]).all(axis=0)
        groups.append(BoundaryGroup(kind, tuple(map(names.index, dims)), values))
    return sides_of(groups, len(axes))
