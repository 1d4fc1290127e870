"""How datasets are stored in HDF5 files, which decides how fast windows are read; how to store them better.

HDF5 decodes complete chunks. A window of a few frames out of chunks that have many frames, or several
trajectories, decodes many times what it needs; gzip makes that slow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ups_core import UsageError
from ups_core.console import Console
from ups_core.errors import printable
from ups_core.files import check_room, replacing
from ups_core.reading import UnsoundFile
from ups_data.stores.hdf5 import open_hdf5, refusal

SLOW_FILTERS = ("gzip", "szip")
FRAMES = 4
"""Frames of a chunk up to which nothing is said: windows have several frames."""
AT_ONCE = 64 * 1024**2
"""Bytes that are copied at once, where chunks are not larger."""
SMALL = 1024**2
"""Bytes of a dataset up to which its storage does not matter."""
MEGABYTE = 10**6


def slow_storage(dataset: h5py.Dataset, leading: tuple[str, ...] | None) -> str | None:
    """Why windows of a dataset are read slowly, to follow its name; None if they are not.

    Args:
        dataset: of an open file.
        leading: what its first axes are, of `trajectory` and `time`; None if that is not known.
    """
    if not dataset.chunks or dataset.dtype.kind != "f" or dataset.nbytes <= SMALL:
        return None
    packed = dataset.compression in SLOW_FILTERS
    counts = dict(zip(leading or (), dataset.chunks, strict=False))
    many = counts.get("trajectory", 1) > 1 or counts.get("time", 1) > FRAMES
    if not packed and not many:
        return None
    shape = " x ".join(map(str, dataset.chunks))
    how = f"{dataset.compression} compressed chunks" if packed else "chunks"
    cost = f", so one frame decodes {prod(counts.values())}" if many else ""
    return f"is stored in {how} of {shape}{cost}"


def repack(source: Path, target: Path, console: Console) -> None:
    """Write an HDF5 file again with contiguous datasets, bit for bit the same numbers.

    Groups, attributes and small datasets are copied as they are; attributes that refer to other objects are
    left out.

    Args:
        source: the file.
        target: the new one, which must not exist.
        console: shows progress.

    Raises:
        UPSError: the target exists, there is no room, or the file has links or datasets that are not read.
    """
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists; choose another -o or remove it")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target.absolute().parent} is not a directory; create it or choose another -o")
    with open_hdf5(source) as old:
        total = sum(item.nbytes for _, item in _items(old, source) if isinstance(item, h5py.Dataset))
        check_room(target.absolute().parent, total, target.name)
        with (
            replacing(target) as temporary,
            h5py.File(temporary, "w") as new,
            console.progress(f"repacking {source.name} (MB)", total // MEGABYTE) as advance,
        ):
            _copy_attributes(old, new)
            done = 0
            for name, item in _items(old, source):
                if isinstance(item, h5py.Group):
                    _copy_attributes(item, new.require_group(name))
                elif item.dtype.kind not in "biuf" or item.nbytes <= SMALL:
                    old.copy(item, new, name, without_attrs=True)
                    _copy_attributes(item, new[name])
                else:
                    copy = new.create_dataset(name, item.shape, item.dtype)
                    _copy_attributes(item, copy)
                    for selection in blocks(item):
                        values = item[selection]
                        copy[selection] = values
                        before, done = done // MEGABYTE, done + values.nbytes
                        advance(done // MEGABYTE - before)


def blocks(dataset: h5py.Dataset) -> Iterator[tuple[slice, ...]]:
    """Parts of a dataset that fit in memory and have complete chunks, so that each is decoded once."""
    chunks = dataset.chunks or (1,) * dataset.ndim

    def split(axis: int, chosen: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
        if axis == dataset.ndim:
            yield chosen
            return
        layer = dataset.dtype.itemsize * prod(dataset.shape[axis + 1 :])
        layer *= prod(part.stop - part.start for part in chosen)
        step = max(AT_ONCE // layer // chunks[axis], 1) * chunks[axis]
        for start in range(0, dataset.shape[axis], step):
            part = slice(start, min(start + step, dataset.shape[axis]))
            if (part.stop - part.start) * layer <= AT_ONCE:
                yield (*chosen, part)
            else:
                yield from split(axis + 1, (*chosen, part))

    return split(0, ())


def _items(file: h5py.File, path: Path) -> Iterator[tuple[str, Any]]:
    """All groups and datasets of a file, groups before what is in them.

    Raises:
        UnsoundFile: there is a link, or a dataset that is not read.
    """
    pending = [(name, file) for name in sorted(file, reverse=True)]
    while pending:
        name, root = pending.pop()
        link = root.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnsoundFile(path, f"has '{printable(name)}' as a link, which is not followed")
        item = root[name]
        if isinstance(item, h5py.Group):
            pending += [(f"{name}/{inner}", root) for inner in sorted(item, reverse=True)]
        elif not isinstance(item, h5py.Dataset):
            continue
        elif problem := refusal(item):
            raise UnsoundFile(path, f"has '{printable(name)}', which {problem}")
        yield name, item


def _copy_attributes(source: Any, target: Any) -> None:
    for key in source.attrs:
        if not _refers(source.attrs.get_id(key).dtype):
            target.attrs[key] = source.attrs[key]


def _refers(dtype: np.dtype[Any]) -> bool:
    """Whether values of a type are references to objects, which have other addresses in another file."""
    inner = h5py.check_vlen_dtype(dtype)
    parts = [part[0] for part in dtype.fields.values()] if dtype.fields else []
    parts += [inner] if isinstance(inner, np.dtype) else []
    return h5py.check_ref_dtype(dtype) is not None or any(map(_refers, parts))
