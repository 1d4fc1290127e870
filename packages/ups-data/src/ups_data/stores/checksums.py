"""Checksums of data files, each beside its file as `NAME.sum.json`.

A generated file gets its checksum when it is written, any other file when it is first used. From then on
every opening compares them: files up to :data:`FULL_LIMIT` byte by byte; larger ones in 16 blocks, and
completely if their time or their inode has changed.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ups_core.reading import UnsoundFile, in_form, open_regular
from ups_core.sealed import read_sealed, write_sealed
from ups_core.sums import sum_of

SUFFIX = ".sum.json"
FULL_LIMIT = 2 * 1024**3
"""Bytes up to which a file is compared completely whenever it is opened."""
BLOCKS = 16
BLOCK_BYTES = 64 * 1024


class NotedSum(BaseModel):
    """The content of `NAME.sum.json`.

    Attributes:
        bytes: size of the file.
        full: SHA-256 of its content, in hexadecimal.
        sampled: :func:`sampled_sum` of it.
        modified: time of its last change in nanoseconds.
        inode: of the file.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    bytes: int
    full: str
    sampled: str
    modified: int
    inode: int

    def is_of(self, stat: os.stat_result) -> bool:
        """Whether nothing has touched the file since, as far as the file system knows."""
        return (stat.st_size, stat.st_mtime_ns, stat.st_ino) == (self.bytes, self.modified, self.inode)


def place_of_sum(path: Path) -> Path:
    """Where the checksum of a data file is."""
    return path.with_name(path.name + SUFFIX)


def sampled_sum(path: Path) -> str:
    """Hash of a file's size and of 16 evenly spaced blocks of 64 KiB. Raises :class:`UnsoundFile`."""
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            hasher = hashlib.sha256(str(size).encode())
            for block in range(BLOCKS):
                file.seek(max(0, size - BLOCK_BYTES) * block // (BLOCKS - 1))
                hasher.update(file.read(BLOCK_BYTES))
        except OSError as error:
            raise UnsoundFile(path, f"cannot be read ({error.strerror})") from None
    return hasher.hexdigest()


def noted_sum(path: Path) -> NotedSum | None:
    """What is noted about a file; None if nothing is.

    Raises:
        UnsoundFile: the note is damaged.
    """
    place = place_of_sum(path)
    if not os.path.lexists(place):
        return None
    return in_form(place, NotedSum.model_validate, read_sealed(place), "the checksum of a data file")


def note_sum(path: Path) -> NotedSum:
    """Compute the checksum of a file and write it beside the file.

    Raises:
        UnsoundFile: the file cannot be read.
        OSError: the note cannot be written.
    """
    noted = sum_now(path)
    write_sealed(place_of_sum(path), noted.model_dump())
    return noted


def sum_now(path: Path) -> NotedSum:
    """The checksum of a file as it is. Raises :class:`UnsoundFile`."""
    # Data are often links to a large disk, so links are followed here: what counts is the content.
    target = path.resolve()
    full, sampled, stat = sum_of(target), sampled_sum(target), target.stat()
    return NotedSum(
        bytes=stat.st_size, full=full, sampled=sampled, modified=stat.st_mtime_ns, inode=stat.st_ino
    )


def own_sum(path: Path, limit: int = FULL_LIMIT) -> str:
    """Hash of a user's own file, or of all files of a folder such as a zarr store.

    Nothing is noted beside such files: their owner may change them at will.

    Args:
        path: the file or the folder.
        limit: bytes up to which all of a file is read; of a larger one :func:`sampled_sum`.

    Raises:
        UnsoundFile: a file cannot be read.
    """
    target = path.resolve()
    if target.is_dir():
        inside = sorted(item for item in target.rglob("*") if item.is_file())
        names = [f"{item.relative_to(target)} {own_sum(item, limit)}" for item in inside]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()
    small = target.is_file() and target.stat().st_size <= limit
    return sum_of(target) if small else sampled_sum(target)


def check_noted(path: Path, noted: NotedSum, full: bool = False) -> None:
    """Compare a file with what is noted about it.

    Args:
        path: the file.
        noted: its checksum.
        full: compare all of a large file too.

    Raises:
        UnsoundFile: it is missing or has changed.
    """
    target = path.resolve()
    try:
        stat = target.stat()
    except OSError as error:
        raise UnsoundFile(path, f"cannot be read ({error.strerror})") from None
    if stat.st_size != noted.bytes:
        raise UnsoundFile(path, f"has {stat.st_size} bytes instead of {noted.bytes}")
    if full or stat.st_size <= FULL_LIMIT or not noted.is_of(stat):
        if (found := sum_of(target)) != noted.full:
            raise UnsoundFile.changed(path, noted.full, found)
        _note_place(path, noted, stat)
    elif (found := sampled_sum(target)) != noted.sampled:
        raise UnsoundFile.changed(path, noted.sampled, found)


def _note_place(path: Path, noted: NotedSum, stat: os.stat_result) -> None:
    """Note time and inode of a file that was copied or touched, so that it is not read completely again."""
    if noted.is_of(stat):
        return
    again = noted.model_copy(update={"modified": stat.st_mtime_ns, "inode": stat.st_ino})
    # A data root may be read-only; the next opening then reads the file completely, too.
    with suppress(OSError):
        write_sealed(place_of_sum(path), again.model_dump())
