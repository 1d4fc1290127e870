"""Opens HDF5 files of unknown origin: no links, no storage outside the file, no sizes that memory lacks."""

from __future__ import annotations

import errno
from collections.abc import Collection
from math import prod
from pathlib import Path

import h5py

from ups_core.errors import printable
from ups_core.reading import UnsoundFile

MAX_CHUNK = 512 * 1024**2
"""Limit of bytes of a chunk, which HDF5 decompresses as a whole to read any part of it."""
MAX_RATIO = 256
"""Limit of declared over stored bytes: fields compress by less than 100, nothing but constants by more."""
SMALL = 64 * 1024**2
"""Declared bytes up to which the ratio does not matter."""
LOCKED = (errno.EAGAIN, errno.EACCES, errno.ENOLCK)


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading; the caller closes it.

    Raises:
        UnsoundFile: it is missing, locked, or not readable HDF5.
    """
    # A FIFO would hang; a link to a file is fine, because what it leads to must be HDF5 too.
    if not path.is_file():
        raise UnsoundFile(path, "is not a regular file" if path.exists() else "is missing")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno in LOCKED and "lock" in str(error):
            raise UnsoundFile(
                path,
                "is locked by a program that writes to it, or its file system has no locks; close that "
                "program, or set HDF5_USE_FILE_LOCKING=FALSE, which risks reading a half-written file",
            ) from None
        reason = " ".join(str(error).split())
        raise UnsoundFile(
            path, f"is not a readable HDF5 file ({path.stat().st_size} bytes: {reason})"
        ) from None


def own_dataset(
    group: h5py.Group,
    key: str,
    path: Path,
    max_ratio: int | None = MAX_RATIO,
    allowed: Collection[Path] = (),
) -> h5py.Dataset | None:
    """A dataset whose values are in this file, or in one that is allowed; None if the file lacks it.

    Args:
        group: of an open file.
        key: name in the group; `/` separates groups.
        path: the file.
        max_ratio: see :func:`refusal`.
        allowed: other files, resolved, that links and storage outside the file may lead to.

    Raises:
        UnsoundFile: a part of the name is a link, or :func:`refusal` refuses the dataset.
    """
    item: object = group
    for part in key.split("/"):
        # Listing instead of `in`, which follows links and raises over a broken one.
        if not isinstance(item, h5py.Group) or part not in list(item):
            return None
        link = item.get(part, getlink=True)
        leads = isinstance(link, h5py.ExternalLink) and _beside(path, link.filename) in allowed
        if not isinstance(link, h5py.HardLink) and not leads:
            where = f"{link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else link.path
            raise UnsoundFile(
                path, f"has '{printable(key)}' as a link to {printable(where)}, which is not followed"
            )
        item = item[part]
    if not isinstance(item, h5py.Dataset):
        return None
    if problem := refusal(item, max_ratio, path, allowed):
        raise UnsoundFile(path, f"has '{printable(key)}', which {problem}")
    if item.external:
        # Raw storage is where it was allowed, beside the file; HDF5 looks in the working directory.
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_efile_prefix(b"${ORIGIN}")
        file, name = item.file, item.name.encode()
        item.id.close()  # HDF5 opens a dataset with one prefix at a time
        item = h5py.Dataset(h5py.h5d.open(file.id, name, access))
    return item


def refusal(
    dataset: h5py.Dataset,
    max_ratio: int | None = MAX_RATIO,
    path: Path | None = None,
    allowed: Collection[Path] = (),
) -> str | None:
    """Why a dataset is not read, to follow its name in a sentence; None if it may be read.

    Args:
        dataset: of an open file.
        max_ratio: limit of declared over stored bytes; None where constants are to be expected.
        path: the file; needed if others are allowed.
        allowed: see :func:`own_dataset`.
    """
    if dataset.is_virtual:
        names = {source.file_name for source in dataset.virtual_sources()} - {"."}
        if path is None or not names <= {name for name in names if _beside(path, name) in allowed}:
            return "is a virtual dataset; its values are in other files, which are not opened"
        max_ratio = None
    if dataset.external:
        names = {part[0] for part in dataset.external}
        if path is None or not all(_beside(path, name) in allowed for name in names):
            return f"has its values in another file ({printable(min(names))}), which is not opened"
        max_ratio = None
    if dataset.dtype.kind not in "biuf":
        return None  # text and records are never read as fields
    if dataset.chunks and (size := prod(dataset.chunks) * dataset.dtype.itemsize) > MAX_CHUNK:
        return f"has chunks of {size / 1e6:.0f} MB, which HDF5 reads as a whole; rewrite it with smaller ones"
    stored = dataset.id.get_storage_size()
    if max_ratio is not None and dataset.nbytes > max(SMALL, max_ratio * stored):
        return f"declares {dataset.nbytes / 1e6:.0f} MB but stores {stored} bytes: it does not contain fields"
    return None


def _beside(path: Path, name: str) -> Path:
    """The file that a name in an HDF5 file means: relative to the folder of the file."""
    return (path.parent / name).resolve()


def names_of(path: Path, depth: int = 1) -> set[str]:
    """Names in an HDF5 file, by which a layout recognises it; none if it cannot be read.

    A layout is asked about files of any kind, damaged ones included, and must answer no instead of raising:
    what is wrong with a file is said where the file is read. Links are not followed.

    Args:
        path: the file.
        depth: 1 for the names at the top; 2 also for `group/name` of the first one.
    """
    try:
        with open_hdf5(path) as file:
            found = set(map(str, file))
            first = min(found, default="")
            if depth > 1 and first and isinstance(file.get(first, getlink=True), h5py.HardLink):
                group = file[first]
                found |= {f"{first}/{name}" for name in group} if isinstance(group, h5py.Group) else set()
            return found
    except Exception:  # HDF5 and h5py raise all kinds of exceptions over a damaged file
        return set()
