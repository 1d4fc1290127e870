"""Files that hold named arrays, of many formats, read alike and lazily; nothing is unpickled.

`.npy` has one array without a name, called :data:`UNNAMED`; MATLAB 7.3 files are HDF5 with reversed axes,
which are turned around here.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core.errors import UPSError, printable
from ups_core.mistakes import did_you_mean
from ups_core.reading import UnsoundFile
from ups_data.stores.hdf5 import MAX_RATIO, SMALL, open_hdf5, refusal

Array = NDArray[Any]

UNNAMED = "array"
"""Name of the only array of a file that gives it none."""


@dataclass(frozen=True)
class NamedArray:
    """One array of a file.

    Attributes:
        name: its name in the file.
        shape: its axes as numpy has them.
        dtype: its type; Boolean, integer, real or complex numbers.
        read: gives the selection of a tuple of slices, one per axis.
        unit: what the file says in an attribute `units`; "" where it says nothing.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[tuple[slice, ...]], Array]
    unit: str = ""

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, selection: slice | tuple[slice, ...]) -> Array:
        return self.read(selection if isinstance(selection, tuple) else (selection,))


class ArrayFile(Mapping[str, NamedArray]):
    """The numeric arrays of a file, by name; netCDF and zarr need the extra `xarray`.

    Args:
        path: a file with one of the endings of :data:`READERS`.

    Raises:
        UPSError: the ending is unknown, or the file is missing, damaged or unsafe; one line with its path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise UPSError(f"{path} has an unknown ending; known: {', '.join(READERS)}")
        with reading(path):
            self._arrays = {array.name: array for array in reader(path)}
        if not self._arrays:
            raise UnsoundFile(path, "has no numeric arrays")

    def __getitem__(self, name: str) -> NamedArray:
        try:
            return self._arrays[name]
        except KeyError:
            raise UnsoundFile(
                self.path, f"has no array '{name}'{did_you_mean(name, list(self._arrays))}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any exception of a format's library over a damaged file into one line."""
    try:
        yield
    except UPSError:
        raise
    except Exception as error:  # each library has its own, and damaged files find new ones
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnsoundFile(path, f"cannot be read ({printable(reason)})") from error


def _numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufc"


def _check_size(path: Path, name: str, size: int, stored: int) -> None:
    """Refuse an array that declares far more bytes than are stored, before memory is asked for them."""
    if size > max(SMALL, MAX_RATIO * stored):
        raise UnsoundFile(
            path,
            f"declares {size / 1e6:.0f} MB in '{printable(name)}' but stores {stored} bytes: "
            "it does not contain fields",
        )


def _in_memory(name: str, values: Array) -> NamedArray:
    return NamedArray(name, values.shape, values.dtype, lambda selection: values[selection])


def _npy(path: Path) -> Iterator[NamedArray]:
    _check_regular(path)
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise UnsoundFile(path, _objects(error, UNNAMED)) from None
    if _numeric(mapped.dtype):
        yield NamedArray(UNNAMED, mapped.shape, mapped.dtype, _mapped(path, None))


def _npz(path: Path) -> Iterator[NamedArray]:
    _check_regular(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        headers = {}
        for member in members:
            with archive.open(member) as file:
                shape, _, dtype = _array_header(file)
            headers[member.filename.removesuffix(".npy")] = (shape, dtype, member)
    for name, (shape, dtype, member) in headers.items():
        if dtype.hasobject:
            raise UnsoundFile(path, f"holds Python objects in '{printable(name)}', which are never unpickled")
        if _numeric(dtype):
            size = max(member.file_size, math.prod(shape) * dtype.itemsize)
            _check_size(path, name, size, member.compress_size)
            yield NamedArray(name, shape, dtype, _member(path, member))


def _member(path: Path, member: zipfile.ZipInfo) -> Callable[[tuple[slice, ...]], Array]:
    if member.compress_type == zipfile.ZIP_STORED and member.file_size > READ_AT_ONCE:
        return _mapped(path, member)
    name = member.filename.removesuffix(".npy")

    def read(selection: tuple[slice, ...]) -> Array:
        with reading(path), np.load(path, allow_pickle=False) as archive:
            whole: Array = archive[name]
            return whole[selection]

    return read


def _mapped(path: Path, member: zipfile.ZipInfo | None) -> Callable[[tuple[slice, ...]], Array]:
    """Reads from a numpy file, or from one that an archive has uncompressed.

    Every selection maps it again: pages of a map that stays open count as memory of the process.
    """

    def read(selection: tuple[slice, ...]) -> Array:
        with reading(path), path.open("rb") as file:
            if member is not None:
                file.seek(member.header_offset + ZIP_LENGTHS)
                name, extra = struct.unpack("<HH", file.read(4))
                file.seek(name + extra, os.SEEK_CUR)
            shape, fortran, dtype = _array_header(file)
            mapped = np.memmap(
                file, dtype, "r", offset=file.tell(), shape=shape, order="F" if fortran else "C"
            )
            return np.array(mapped[selection])

    return read


READ_AT_ONCE = 32 * 1024**2
"""Bytes up to which an array of an archive is read at once, which compares its checksum."""
ZIP_LENGTHS = 26
"""Place of the lengths of name and extra field in the header that a zip archive has before a member."""


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the order is Fortran's, and type of a numpy file, which is at the first number then."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(file)
    return header


def _hdf5(path: Path, reverse: bool = False) -> Iterator[NamedArray]:
    """The numeric datasets of an HDF5 file; `reverse` turns around the axes, which MATLAB stores in
    reverse."""
    with open_hdf5(path) as file:
        found: dict[str, tuple[tuple[int, ...], np.dtype[Any], str]] = {}

        def collect(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and not name.startswith("#"):  # MATLAB's own
                dtype = _complex(item.dtype) or item.dtype
                if _numeric(dtype) and item.shape is not None:
                    if problem := refusal(item):
                        raise UnsoundFile(path, f"has '{printable(name)}', which {problem}")
                    found[name] = item.shape, dtype, _unit(item.attrs)

        file.visititems(collect)
    for name, (shape, dtype, unit) in found.items():
        read = _dataset(path, name, reverse)
        yield NamedArray(name, shape[::-1] if reverse else shape, dtype, read, unit)


def _dataset(path: Path, name: str, reverse: bool) -> Callable[[tuple[slice, ...]], Array]:
    def read(selection: tuple[slice, ...]) -> Array:
        with reading(path), open_hdf5(path) as file:
            complete = _complete(selection, file[name].ndim)
            raw: Array = file[name][complete[::-1] if reverse else complete]
            dtype = _complex(raw.dtype)
            values = raw if dtype is None else raw.view(dtype).reshape(raw.shape)
            return values.T if reverse else values

    return read


def _complete(selection: tuple[slice, ...], axes: int) -> tuple[slice, ...]:
    """A selection of the first axes, as one of all: reversed axes cannot be left out at the end."""
    return selection + (slice(None),) * (axes - len(selection))


def _complex(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The complex type of a pair of numbers, as MATLAB and h5py store it; None for other types."""
    if dtype.names is None or len(dtype.names) != 2 or dtype.kind == "c":
        return None
    parts = [dtype[name] for name in dtype.names]
    if parts[0] != parts[1] or parts[0].kind != "f" or dtype.itemsize != 2 * parts[0].itemsize:
        return None
    return np.result_type(parts[0], np.complex64)


def _mat(path: Path) -> Iterator[NamedArray]:
    _check_regular(path)
    if h5py.is_hdf5(path):
        yield from _hdf5(path, reverse=True)
        return
    from scipy.io import loadmat, whosmat

    for name, shape, kind in whosmat(path):
        if kind not in MATLAB_NUMBERS:
            continue
        _check_size(path, name, math.prod(shape) * COMPLEX_BYTES, path.stat().st_size)
        whole = loadmat(path, variable_names=[name])[name]
        yield _in_memory(name, whole)


COMPLEX_BYTES = 16
"""Bytes of the largest MATLAB number; the list of a file's arrays does not tell which are complex."""
MATLAB_NUMBERS = ("double", "single", "logical", *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)))


def _torch(path: Path) -> Iterator[NamedArray]:
    _check_regular(path)
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    named = loaded if isinstance(loaded, Mapping) else {UNNAMED: loaded}
    for name, tensor in named.items():
        if isinstance(tensor, torch.Tensor) and not tensor.is_sparse:
            # A tensor may repeat one stored number along an axis.
            _check_size(path, str(name), tensor.nbytes, path.stat().st_size)
            whole = tensor.detach()
            whole = whole.float() if whole.dtype is torch.bfloat16 else whole
            array = whole.numpy()
            yield _in_memory(str(name), array)


def _xarray(path: Path) -> Iterator[NamedArray]:
    if path.suffix.lower() != ".zarr":
        _check_regular(path)
    with _opened(path) as opened:
        found = {
            str(name): (item.shape, item.dtype, _unit(item.attrs)) for name, item in opened.variables.items()
        }
    for name, (shape, dtype, unit) in found.items():
        if _numeric(dtype):
            yield NamedArray(name, shape, dtype, _variable(path, name), unit)


def _unit(attributes: Mapping[str, Any]) -> str:
    """The attribute `units` as text; "" where there is none, or something else."""
    try:
        unit = attributes.get("units", "")
    except (OSError, TypeError, ValueError):  # of a type that h5py cannot read
        return ""
    text = unit.decode(errors="replace") if isinstance(unit, bytes) else unit
    return printable(text.strip()) if isinstance(text, str) else ""


def _opened(path: Path) -> Any:
    """A netCDF file or a zarr folder, with numbers as they are stored."""
    try:
        import xarray
    except ModuleNotFoundError:
        raise UPSError(
            f"{path} needs the package xarray; install it with: pip install 'ups-data[xarray]'"
        ) from None
    if path.suffix.lower() == ".zarr":
        return xarray.open_zarr(path, decode_cf=False, chunks=None, consolidated=False)
    return xarray.open_dataset(path, decode_cf=False)


def _variable(path: Path, name: str) -> Callable[[tuple[slice, ...]], Array]:
    def read(selection: tuple[slice, ...]) -> Array:
        with reading(path), _opened(path) as opened:
            values: Array = opened.variables[name][selection].to_numpy()
            return values

    return read


def _check_regular(path: Path) -> None:
    """Raise :class:`UnsoundFile` unless this is a regular file, or a link to one."""
    if not path.is_file():
        raise UnsoundFile(path, "is not a regular file" if path.exists() else "is missing")


def _objects(error: ValueError, name: str) -> str:
    if "pickle" in str(error).lower() or "object" in str(error).lower():
        return f"holds Python objects in '{name}', which are never unpickled"
    return f"cannot be read ({printable(' '.join(str(error).split()))})"


READERS: dict[str, Callable[[Path], Iterator[NamedArray]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".mat": _mat,
    ".pt": _torch,
    ".pth": _torch,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".nc": _xarray,
    ".zarr": _xarray,
}
"""Ending -> what reads such a file."""
