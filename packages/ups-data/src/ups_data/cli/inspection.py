"""The content of a data file: recognised layout, datasets, coordinates, ranges of values.

A dataset of up to :data:`ALL_BYTES` is read completely, block by block; of a larger one, evenly spaced
trajectories, and the output says so.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.cli.layouts import HDF5, Recognised, layout_of, recognise
from ups_data.cli.storage import slow_datasets
from ups_data.guesses.facts import line_of
from ups_data.stores.array_files import READERS, ArrayFile, NamedArray, reading
from ups_data.stores.hdf5 import open_hdf5, refusal

ALL_BYTES = 256 * 1024**2
"""Bytes of a dataset up to which all of it is read, and of a trajectory up to which it is read at all."""
BLOCK_BYTES = 32 * 1024**2
"""Bytes to read at once."""
MAX_ATTRIBUTE_BYTES = 4096
"""Bytes of an attribute up to which it is shown."""
BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40


def inspect_file(path: Path) -> dict[str, Any]:
    """Findings as plain data, keys as in the output of `ups data inspect --json`.

    Raises:
        UPSError: the file does not exist or cannot be read.
    """
    if path.suffix.lower() in READERS and path.suffix.lower() not in HDF5:
        with reading(path):
            return _array_findings(path)
    try:
        with open_hdf5(path) as file:
            return _findings(path, file)
    except UPSError:
        raise
    except Exception as error:  # HDF5 and h5py raise all kinds of exceptions over a damaged file
        reason = " ".join(str(error).split())
        raise UPSError(f"{path} is not a readable HDF5 file ({printable(reason)})") from error


def _findings(path: Path, file: h5py.File) -> dict[str, Any]:
    found: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(collect)
    datasets = {key: {"shape": list(item.shape), "dtype": str(item.dtype)} for key, item in found.items()}
    layout = layout_of(path)
    # In a layout integers are numbers of things; in other files they may be fields or coordinates.
    kinds = "f" if layout else "biuf"
    numeric = {
        key: item for key, item in found.items() if item.dtype.kind in kinds and item.ndim and item.size
    }
    unread = {key: problem for key, item in numeric.items() if (problem := _not_read(item))}
    numeric = {key: item for key, item in numeric.items() if key not in unread}
    named = [key for key, item in numeric.items() if "coordinate" in key and item.ndim == 1]
    coordinates = {key: _coordinate(numeric.pop(key)[:]) for key in named}
    if layout is None:
        lines = {key: line for key, item in numeric.items() if (line := line_of(item)) is not None}
        coordinates |= {key: _coordinate(line) for key, line in lines.items()}
        numeric = {key: item for key, item in numeric.items() if key not in lines}
    recognised = _recognised(path) if layout else None
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "layout": layout,
        "contents": _contents(recognised) if recognised else None,
        "made_by_ups": "ups_generator" in file.attrs,
        "attributes": {key: _attribute(file.attrs, key) for key in file.attrs},
        "datasets": datasets,
        "coordinates": coordinates,
        "values": {key: _values(item) for key, item in numeric.items()},
        "not_read": _links(file) | unread,
        "slow": slow_datasets(found, recognised),
    }


def _recognised(path: Path) -> Recognised | None:
    """A file by its layout; None if the layout cannot read it."""
    try:
        return recognise(path)
    except UPSError:
        return None  # inspecting a damaged file shows what can be read


def _contents(recognised: Recognised) -> dict[str, Any]:
    """What a file has by its layout."""
    head = recognised.file.head
    return {
        "trajectories": head.trajectories,
        "frames": head.frames,
        "grid": list(head.shape),
        "channels": list(head.channels),
        "static": list(head.static),
        "parameters": {
            name: [float(values.min()), float(values.max())]
            for name, values in head.parameters.items()
            if not name.startswith("ups_")
        },
    }


def _array_findings(path: Path) -> dict[str, Any]:
    """The arrays of a file of another format."""
    file = ArrayFile(path)
    filled = {key: array for key, array in file.items() if array.shape and array.nbytes}
    complex_ones = {key for key, array in filled.items() if array.dtype.kind == "c"}
    large = {key for key, array in filled.items() if array.nbytes // len(array) > ALL_BYTES} - complex_ones
    unread = {key: "has complex numbers, which have no range" for key in sorted(complex_ones)} | {
        key: "has too many values in a row to look at" for key in sorted(large)
    }
    numeric = {key: array for key, array in filled.items() if key not in unread}
    lines = {key: line for key, array in numeric.items() if (line := line_of(array)) is not None}
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "layout": "arrays",
        "contents": None,
        "made_by_ups": False,
        "attributes": {},
        "datasets": {
            key: {"shape": list(array.shape), "dtype": str(array.dtype)} for key, array in file.items()
        },
        "coordinates": {key: _coordinate(line) for key, line in lines.items()},
        "values": {key: _values(array) for key, array in numeric.items() if key not in lines},
        "not_read": unread,
        "slow": {},
    }


def _not_read(dataset: h5py.Dataset) -> str | None:
    """Why the values of a dataset are not looked at, to follow its name; None if they are."""
    if problem := refusal(dataset):
        return problem
    size = dataset.nbytes if dataset.ndim == 1 else dataset.nbytes // len(dataset)
    what = "values" if dataset.ndim == 1 else "values a trajectory"
    return f"has {size / 1e6:.0f} MB of {what}, too many to look at" if size > ALL_BYTES else None


def _links(file: h5py.File) -> dict[str, str]:
    """Why names at the top of the file that are links are not read."""
    links = {key: file.get(key, getlink=True) for key in file}
    return {
        key: f"is a link to {link.path}{' in another file' if isinstance(link, h5py.ExternalLink) else ''}, "
        "which is not followed"
        for key, link in links.items()
        if not isinstance(link, h5py.HardLink)
    }


def _coordinate(points: NDArray[Any]) -> dict[str, Any]:
    return {"points": len(points), "first": float(points[0]), "last": float(points[-1])}


def _values(dataset: h5py.Dataset | NamedArray) -> dict[str, Any]:
    row_bytes = max(1, dataset.nbytes // len(dataset))
    step = math.ceil(dataset.nbytes / ALL_BYTES)
    rows = range(0, len(dataset), step)
    at_once = max(1, BLOCK_BYTES // row_bytes)
    low, high, total, count, size = math.inf, -math.inf, 0.0, 0, 0
    for start in range(0, len(rows), at_once):
        chosen = rows[start : start + at_once]
        block = dataset[chosen.start : chosen.stop : step]
        numbers = block[np.isfinite(block)].astype(np.float64)
        size, count = size + block.size, count + numbers.size
        if numbers.size:
            low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
            total += float(numbers.sum())
    return {
        "trajectories": len(rows),
        "of": len(dataset),
        "min": low if count else None,
        "max": high if count else None,
        "mean": total / count if count else None,
        "not_finite": size - count,
        "profile": _profile(dataset[0:1][0]),
    }


def _profile(first: NDArray[Any]) -> str:
    # The first row of points of the first trajectory; with two axes the row through the middle of the square.
    while first.ndim > 1:
        first = first[len(first) // 2] if first.ndim == 2 and first.shape[0] == first.shape[1] else first[0]
    return _sparkline(np.atleast_1d(first))


def _sparkline(values: NDArray[Any]) -> str:
    picked = values[:: max(1, math.ceil(len(values) / SPARK_WIDTH))]
    if not np.isfinite(picked).all():
        return ""
    low, high = float(picked.min()), float(picked.max())
    levels = (picked - low) / (high - low) if high > low else np.zeros(len(picked))
    return "".join(BARS[int(level * (len(BARS) - 1) + 0.5)] for level in levels)


def _attribute(attributes: h5py.AttributeManager, key: str) -> Any:
    stored = attributes.get_id(key)
    size = stored.dtype.itemsize * math.prod(stored.shape or ())  # None if it is empty
    if size > MAX_ATTRIBUTE_BYTES:
        return f"({size} bytes)"
    return _plain(attributes[key])


def _plain(value: Any) -> Any:
    """An attribute as data that JSON can hold; what JSON has no word for becomes text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, bool | int | float | str | None) else str(value)
