"""The content of a data file: recognised layout, datasets, coordinates, statistics of the first values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TextIO

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ups_core import UPSError
from ups_data.stores.pdebench import Family
from ups_data.tasks.advection1d import ADVECTION
from ups_data.tasks.burgers1d import BURGERS
from ups_data.tasks.darcy2d import DARCY

FAMILIES = (ADVECTION, BURGERS, DARCY)
SAMPLE = 16
"""Trajectories to look at."""
BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40


def inspect_file(path: Path) -> dict[str, Any]:
    """Findings as plain data, keys as in the output of `ups data inspect --json`.

    Raises:
        UPSError: the file does not exist or is not readable HDF5.
    """
    if not path.is_file():
        raise UPSError(f"{path}: file not found")
    try:
        with h5py.File(path, "r") as file:
            return _findings(path, file)
    except Exception as error:  # HDF5 and h5py raise all kinds of exceptions over a damaged file
        reason = " ".join(str(error).split())
        raise UPSError(f"{path}: not a readable HDF5 file ({reason})") from error


def _findings(path: Path, file: h5py.File) -> dict[str, Any]:
    found: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    file.visititems(collect)
    family = next((family for family in FAMILIES if _matches(family, file)), None)
    datasets = {key: {"shape": list(item.shape), "dtype": str(item.dtype)} for key, item in found.items()}
    numeric = {key: item for key, item in found.items() if item.dtype.kind == "f" and item.ndim and item.size}
    lines = [key for key, item in numeric.items() if "coordinate" in key and item.ndim == 1]
    coordinates = {key: _coordinate(numeric.pop(key)[:]) for key in lines}
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "layout": family.name if family else None,
        "made_by_ups": "ups_generator" in file.attrs,
        "parameter": {family.parameter: _plain(file.attrs[family.parameter])} if family else {},
        "attributes": {key: _plain(value) for key, value in file.attrs.items()},
        "datasets": datasets,
        "coordinates": coordinates,
        "values": {key: _values(item[:SAMPLE]) for key, item in numeric.items()},
    }


def _matches(family: Family, file: h5py.File) -> bool:
    wanted = {family.solution, *family.axes} | ({family.coefficient} if family.coefficient else set())
    rank = len(family.native) + 2
    return family.parameter in file.attrs and wanted <= set(file) and file[family.solution].ndim == rank


def _coordinate(points: NDArray[Any]) -> dict[str, Any]:
    return {"points": len(points), "first": float(points[0]), "last": float(points[-1])}


def _values(sample: NDArray[Any]) -> dict[str, Any]:
    finite = sample[np.isfinite(sample)].astype(np.float64)
    first = sample[0]
    # The first row of points of the first trajectory; with two axes the row through the middle of the square.
    while first.ndim > 1:
        first = first[len(first) // 2] if first.ndim == 2 and first.shape[0] == first.shape[1] else first[0]
    return {
        "trajectories": len(sample),
        "min": float(finite.min()) if finite.size else None,
        "max": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean()) if finite.size else None,
        "not_finite": int(sample.size - finite.size),
        "profile": _sparkline(np.atleast_1d(first)),
    }


def _sparkline(values: NDArray[Any]) -> str:
    picked = values[:: max(1, math.ceil(len(values) / SPARK_WIDTH))]
    if not np.isfinite(picked).all():
        return ""
    low, high = float(picked.min()), float(picked.max())
    levels = (picked - low) / (high - low) if high > low else np.zeros(len(picked))
    return "".join(BARS[int(level * (len(BARS) - 1) + 0.5)] for level in levels)


def _plain(value: Any) -> Any:
    """An attribute as data that JSON can hold."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def render(findings: dict[str, Any], stream: TextIO) -> None:
    """Print findings as text."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    layout = findings["layout"] or f"not recognised (known: {', '.join(family.name for family in FAMILIES)})"
    console.print(escape(f"{findings['path']}  {findings['bytes'] / 1e6:.1f} MB  layout: {layout}"))
    for key, value in findings["attributes"].items():
        console.print(escape(f"  {key} = {value}"))
    table = Table("dataset", "shape", "type", "range")
    for key, dataset in findings["datasets"].items():
        place = findings["coordinates"].get(key) or findings["values"].get(key)
        table.add_row(escape(key), str(tuple(dataset["shape"])), dataset["dtype"], _span(place or {}))
    console.print(table)
    for key, values in findings["values"].items():
        health = (
            f"{values['not_finite']} values are NaN or infinite" if values["not_finite"] else "all finite"
        )
        mean = "-" if values["mean"] is None else f"{values['mean']:.5g}"
        sample = f"{key}: first {values['trajectories']} trajectories, mean {mean}, {health}"
        console.print(escape(f"{sample}  {values['profile']}"))


def _span(place: dict[str, Any]) -> str:
    low, high = place.get("first", place.get("min")), place.get("last", place.get("max"))
    return "" if low is None or high is None else f"{low:.5g} .. {high:.5g}"
