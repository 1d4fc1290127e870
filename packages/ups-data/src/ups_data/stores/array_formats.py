"""Writers of the formats that :mod:`ups_data.stores.array_files` reads, by blocks where a format allows."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from ups_data.stores.array_contents import Array, Contents

Write = Callable[[str, Sequence[int], Array], None]
"""Writes a block: the name of the array, the place of the block's first number, its numbers."""

ATTRIBUTES = "attributes"
"""Name of the JSON text in files that have arrays only."""


class _RawArray:
    """A numpy file, written with seek: pages of a memory map would stay in memory."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        self.file = file
        self.shape = shape
        header = {"descr": np.dtype("<f4").str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self.first = file.tell()
        file.truncate(self.first + 4 * math.prod(shape))

    def write(self, start: Sequence[int], values: Array) -> None:
        """Write a block in the longest runs that are contiguous in the file."""
        complete = len(self.shape)
        while complete and values.shape[complete - 1] == self.shape[complete - 1]:
            complete -= 1
        lead = max(0, complete - 1)
        strides = [math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape))]
        for place in np.ndindex(values.shape[:lead]):
            at = [first + inside for first, inside in zip(start, place, strict=False)] + list(start[lead:])
            offset = sum(number * stride for number, stride in zip(at, strides, strict=True))
            self.file.seek(self.first + 4 * offset)
            self.file.write(np.ascontiguousarray(values[place], dtype="<f4").data)


@contextmanager
def _npy(path: Path, contents: Contents) -> Iterator[Write]:
    with path.open("wb") as file:
        array = _RawArray(file, contents.shape(contents.blockwise[0]))
        yield lambda name, start, values: array.write(start, values)


@contextmanager
def _npz(path: Path, contents: Contents) -> Iterator[Write]:
    """Arrays grow beside the archive, whose members are written one after the other."""
    with ExitStack() as stack:
        parts = {
            item.name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            for item in contents.blockwise
        }
        arrays = {item.name: _RawArray(parts[item.name], contents.shape(item)) for item in contents.blockwise}
        yield lambda name, start, values: arrays[name].write(start, values)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for item in contents.variables:
                with archive.open(f"{item.name}.npy", "w", force_zip64=True) as member:
                    if item.values is None:
                        parts[item.name].seek(0)
                        shutil.copyfileobj(parts[item.name], member, 1024**2)
                    else:
                        np.lib.format.write_array(member, np.asarray(item.values), allow_pickle=False)
            with archive.open(f"{ATTRIBUTES}.npy", "w") as member:
                text = np.asarray(json.dumps(contents.described))
                np.lib.format.write_array(member, text, allow_pickle=False)


@contextmanager
def _at_once(contents: Contents, save: Callable[[dict[str, Array], str], None]) -> Iterator[Write]:
    """Keep all arrays in memory, and save them and the text of attributes at the end."""
    arrays = {
        item.name: np.zeros(contents.shape(item), dtype=np.float32) if item.values is None else item.values
        for item in contents.variables
    }

    def write(name: str, start: Sequence[int], values: Array) -> None:
        arrays[name][_selection(start, values)] = values

    yield write
    save(arrays, json.dumps(contents.described))


def _mat(path: Path, contents: Contents) -> AbstractContextManager[Write]:
    from scipy.io import savemat

    return _at_once(
        contents, lambda arrays, text: savemat(path, arrays | {ATTRIBUTES: text}, appendmat=False)
    )


def _torch(path: Path, contents: Contents) -> AbstractContextManager[Write]:
    import torch

    def save(arrays: dict[str, Array], text: str) -> None:
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        torch.save({**tensors, ATTRIBUTES: text}, path)

    return _at_once(contents, save)


@contextmanager
def _hdf5(path: Path, contents: Contents) -> Iterator[Write]:
    with h5py.File(path, "w") as file:
        file.attrs.update(contents.attributes)
        for item in contents.variables:
            if item.values is None:
                data = file.create_dataset(item.name, contents.shape(item), "f4")  # contiguous
            else:
                data = file.create_dataset(item.name, data=item.values)
            data.attrs.update(item.attributes)
        for item in contents.variables:
            if item.axes == (item.name,):
                file[item.name].make_scale(item.name)
        for item in contents.variables:
            for place, axis in enumerate(item.axes):
                file[item.name].dims[place].label = axis
                if axis in file and axis != item.name:
                    file[item.name].dims[place].attach_scale(file[axis])

        def write(name: str, start: Sequence[int], values: Array) -> None:
            file[name][_selection(start, values)] = values

        yield write


@contextmanager
def _netcdf(path: Path, contents: Contents) -> Iterator[Write]:
    import h5netcdf

    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(contents.sizes)
        file.attrs.update(contents.attributes)
        for item in contents.variables:
            if item.values is None:
                data = file.create_variable(item.name, item.axes, "f4")  # contiguous
            else:
                values = np.asarray(item.values)
                data = file.create_variable(item.name, item.axes, values.dtype, data=values)
            data.attrs.update(item.attributes)

        def write(name: str, start: Sequence[int], values: Array) -> None:
            file[name][_selection(start, values)] = values

        yield write


@contextmanager
def _zarr(path: Path, contents: Contents) -> Iterator[Write]:
    import zarr

    group = zarr.open_group(path, mode="w", attributes=dict(contents.attributes))
    arrays: dict[str, Any] = {}
    for item in contents.variables:
        values = None if item.values is None else np.asarray(item.values)
        array = arrays[item.name] = group.create_array(
            item.name,
            shape=contents.shape(item),
            chunks=contents.chunks(item) or "auto",
            dtype="float32" if values is None else values.dtype,
            dimension_names=item.axes,
            attributes=dict(item.attributes),
        )
        if values is not None:
            array[...] = values
    with warnings.catch_warnings():
        # xarray warns of a store without consolidated metadata, zarr of one with them in its third format.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path)

    def write(name: str, start: Sequence[int], values: Array) -> None:
        arrays[name][_selection(start, values)] = values

    yield write


def _selection(start: Sequence[int], values: Array) -> tuple[slice, ...]:
    return tuple(slice(first, first + count) for first, count in zip(start, values.shape, strict=True))


WRITERS: dict[str, Callable[[Path, Contents], AbstractContextManager[Write]]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nc": _netcdf,
    ".zarr": _zarr,
    ".mat": _mat,
    ".pt": _torch,
    ".pth": _torch,
}
"""Ending -> what writes such a file."""
AT_ONCE = (".mat", ".pt", ".pth")
"""Endings of files that are written at once."""
NEEDS = {".nc": ("h5netcdf",), ".zarr": ("zarr",)}
"""Ending -> packages of the extra `xarray` that it needs."""
