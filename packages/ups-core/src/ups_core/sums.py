"""Checksums of files: the SHA-256 of everything that a step or a data source leaves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ups_core.reading import UnsoundFile, open_regular


class FileSum(NamedTuple):
    """What is noted about a file.

    Attributes:
        bytes: its size.
        sha256: of its content, in hexadecimal.
    """

    bytes: int
    sha256: str


def sum_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal. Raises :class:`UnsoundFile`."""
    with open_regular(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnsoundFile(path, f"cannot be read ({error.strerror})") from None


def sums_of(directory: Path, without: Collection[str] = ()) -> dict[str, FileSum]:
    """Name relative to the directory -> sum, for every file below it except those named.

    Raises:
        UnsoundFile: there is a link, or something else that is not a regular file.
    """
    names = (name for name in sorted(_names(directory)) if name not in without)
    return {name: file_sum(directory / name) for name in names}


def file_sum(path: Path) -> FileSum:
    """Size and checksum of a file. Raises :class:`UnsoundFile`."""
    digest = sum_of(path)
    return FileSum(path.stat().st_size, digest)


def check_sum(path: Path, expected: FileSum) -> None:
    """Compare a file with its noted size and checksum. Raises :class:`UnsoundFile`."""
    check_size(path, expected)
    if (found := sum_of(path)) != expected.sha256:
        raise UnsoundFile.changed(path, expected.sha256, found)


def check_size(path: Path, expected: FileSum) -> None:
    """Compare a file with its noted size alone, which reads nothing. Raises :class:`UnsoundFile`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
    if size != expected.bytes:
        raise UnsoundFile(path, f"has {size} bytes instead of {expected.bytes}")


def _names(directory: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(directory):
        linked = next((name for name in folders if os.path.islink(os.path.join(folder, name))), None)
        if linked is not None:
            raise UnsoundFile(Path(folder, linked), "is a link, which is not followed; put the folder there")
        for name in files:
            yield Path(folder, name).relative_to(directory).as_posix()
