"""Reads groups, attributes and coordinates of a file of The Well; a wrong one gets one line."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core.errors import truncated
from ups_core.reading import UnsoundFile
from ups_data.stores.hdf5_fields import HDF5Fields
from ups_data.stores.layout import Points

MAX_ENTRIES = 10_000
"""Limit of entries of an attribute."""
MAX_NUMBERS = 16_000_000
"""Limit of numbers of a coordinate that is stored for every trajectory."""
SAME = 1e-3
"""Tolerance, in steps, of times and coordinates that should be the same for all trajectories."""

Item: TypeAlias = Any
"""A group or a dataset; h5py has no types."""


class WellItems(HDF5Fields):
    """Base of the reader of a file of The Well; every method raises :class:`ups_core.UPSError`."""

    def group(self, name: str, parent: h5py.Group | None = None) -> h5py.Group | None:
        """A group, None if it is not there."""
        parent = self.file if parent is None else parent
        if name not in list(parent):
            return None
        if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
            raise UnsoundFile(self.path, f"has '{name}' as a link, which is not followed")
        found = parent[name]
        if not isinstance(found, h5py.Group):
            raise self.error(f"'{name}' is not a group; expected {self.expected}")
        return found

    def names(self, group: h5py.Group | None, attribute: str = "field_names") -> list[str]:
        """Names that a group lists; none without a group."""
        return [] if group is None else self.texts(group, attribute)

    def texts(self, item: Item, name: str) -> list[str]:
        """A text or texts."""
        values = self._attribute(item, name).ravel().tolist()
        texts = [value.decode() if isinstance(value, bytes) else value for value in values]
        wrong = next((text for text in texts if not isinstance(text, str)), None)
        if wrong is not None:
            raise self._wrong(item, name, wrong, "text")
        return texts

    def text(self, item: Item, name: str) -> str:
        """One text, in lower case."""
        texts = self.texts(item, name)
        if len(texts) != 1:
            raise self._wrong(item, name, texts, "one text")
        return texts[0].lower()

    def flag(self, item: Item, name: str, default: bool | None = None) -> bool:
        """True or false; an attribute that is not there is an error unless there is a default."""
        if default is not None and name not in item.attrs:
            return default
        (flag,) = self.flags(item, name, 1)
        return flag

    def flags(self, item: Item, name: str, count: int) -> list[bool]:
        """So many times true or false."""
        values = self._attribute(item, name)
        if values.size != count or values.dtype.kind not in "biu":
            what = "true or false" if count == 1 else f"{count} times true or false"
            raise self._wrong(item, name, values.tolist(), what)
        return [bool(value) for value in values.ravel()]

    def count(self, item: Item, name: str) -> int:
        """A whole number from 1 on."""
        values = self._attribute(item, name)
        if values.size != 1 or values.dtype.kind not in "iuf" or not values.ravel()[0] >= 1:
            raise self._wrong(item, name, values.tolist(), "a number from 1 on")
        return int(values.ravel()[0])

    def _attribute(self, item: Item, name: str) -> NDArray[Any]:
        with self.reading(f"the attribute '{name}' of {_place(item)}"):
            if name not in item.attrs:
                raise self.error(f"no attribute '{name}' of {_place(item)}; expected {self.expected}")
            kind = item.attrs.get_id(name)
            # Type first: HDF5 may crash where a damaged header claims nested or referring types.
            if kind.dtype.kind not in "biufS" and h5py.check_string_dtype(kind.dtype) is None:
                raise self.error(f"the attribute '{name}' of {_place(item)} is neither text nor a number")
            if math.prod(kind.shape or ()) > MAX_ENTRIES:
                raise self.error(f"the attribute '{name}' of {_place(item)} has too many entries")
            return np.asarray(item.attrs[name])

    def _wrong(self, item: Item, name: str, value: object, expected: str) -> UnsoundFile:
        place = f"'{name}' of {_place(item)}"
        return UnsoundFile(self.path, f"has {truncated(repr(value))} as {place}; expected {expected}")

    def line(self, key: str, group: h5py.Group, trajectories: int) -> Points:
        """A coordinate, the same for all trajectories.

        Args:
            key: the dataset in the group; with the flag `sample_varying` it has an axis of trajectories.
            group: `dimensions`.
            trajectories: of the file.
        """
        dataset = self.dataset(key, group)
        if self.flag(dataset, "time_varying", default=False):
            raise self.error(f"the coordinate '{key}' varies in time, which is not supported")
        varying = self.flag(dataset, "sample_varying", default=False)
        if dataset.ndim != 1 + varying or (varying and len(dataset) != trajectories):
            axes = f"({trajectories} trajectories, points)" if varying else "(points)"
            raise self.error(
                f"the coordinate '{key}' has shape {dataset.shape}, but sample_varying is {varying}: "
                f"expected {axes}"
            )
        if not varying:
            return self.points(key, group)
        if dataset.size > MAX_NUMBERS or dataset.dtype.kind not in "iuf" or not dataset.size:
            raise self.error(f"the coordinate '{key}' of shape {dataset.shape} is not a coordinate")
        rows = dataset[:].astype(np.float64)
        steps = np.diff(rows[0])
        if not np.isfinite(rows).all() or not (steps > 0).all():
            raise self.error(f"the coordinate '{key}' does not contain increasing numbers")
        step = steps.min() if len(steps) else 1.0
        other = np.flatnonzero((np.abs(rows - rows[0]) > SAME * step).any(axis=1))
        if len(other):
            raise self.error(
                f"the coordinate '{key}' of trajectory {other[0]} differs from that of trajectory 0; "
                "all trajectories need the same"
            )
        first: Points = rows[0]
        return first


def _place(item: Item) -> str:
    return "the file" if item.name == "/" else f"'{str(item.name).removeprefix('/')}'"
