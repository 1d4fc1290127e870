"""Files of named arrays, written block by block, so that memory does not grow with them.

The formats are those of :mod:`ups_data.stores.array_files`, which reads what is written here. A file has a
temporary name until it is complete. HDF5, netCDF and zarr keep attributes where they belong; `.npz`, `.mat`
and `.pt` have them as JSON text called :data:`~ups_data.stores.array_formats.ATTRIBUTES`; `.npy` has none.
MATLAB and torch files are written at once, so their size is limited.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ups_core import UsageError
from ups_core.files import replacing, sync_directory
from ups_data.stores.array_contents import Contents
from ups_data.stores.array_formats import AT_ONCE, ATTRIBUTES, NEEDS, WRITERS, Write

IN_MEMORY = 1024**3
"""Limit of bytes of a file that is written at once."""


def check_target(path: Path) -> None:
    """Check that a file can be written, before the work that it is for.

    Raises:
        UsageError: the ending is unknown, the file exists, its directory does not, or a package is missing.
    """
    ending = path.suffix.lower()
    if ending not in WRITERS:
        raise UsageError(f"{path} has an unknown ending; known: {', '.join(WRITERS)}")
    if os.path.lexists(path):
        raise UsageError(f"{path} already exists; choose another -o or remove it")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a directory; create it or choose another -o")
    try:
        for package in NEEDS.get(ending, ()):
            __import__(package)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path} needs the package {error.name}; install it with: pip install 'ups-data[xarray]'"
        ) from None


@contextmanager
def writing_arrays(path: Path, contents: Contents) -> Iterator[Write]:
    """Write a file of named arrays, which replaces nothing and appears when it is complete.

    Args:
        path: a new file with one of the endings of :data:`WRITERS`.
        contents: its arrays, axes and attributes.

    Raises:
        UsageError: see :func:`check_target`; also if two arrays have one name, a `.npy` file should have two
            arrays, or a file that is written at once would be too large.
    """
    check_target(path)
    names = [variable.name for variable in contents.variables]
    twice = next((name for name in (*names, ATTRIBUTES) if [*names, ATTRIBUTES].count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: two arrays would be called '{twice}'")
    ending = path.suffix.lower()
    streams = ", ".join(known for known in WRITERS if known not in AT_ONCE)
    if ending in AT_ONCE and contents.nbytes > IN_MEMORY:
        raise UsageError(
            f"{path} would have {contents.nbytes / 1e9:.1f} GB, but {ending} files are written at once, up "
            f"to {IN_MEMORY / 1e9:.1f} GB; use one of {streams}"
        )
    if ending == ".npy" and len(contents.blockwise) > 1:
        several = ", ".join(variable.name for variable in contents.blockwise)
        raise UsageError(f"{path} can have one array only, not {several}; use .npz")
    temporary = _new_directory if ending == ".zarr" else replacing
    with temporary(path) as place, WRITERS[ending](place, contents) as write:
        yield write


@contextmanager
def _new_directory(path: Path) -> Iterator[Path]:
    """A temporary directory that becomes `path` when the block succeeds."""
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        inner = temporary / path.name  # made with the user's permissions; mkdtemp's are private
        inner.mkdir()
        yield inner
        os.rename(inner, path)
        sync_directory(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
