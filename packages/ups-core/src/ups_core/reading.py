"""Reads files that other people or programs may have left: regular files of bounded size, nothing else.

Everything that is read from a run directory, a bundle or a data root is opened here. A link could lead out of
the directory, a FIFO would hang, a device never ends, and a file of another size than it claims fills the
memory.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ups_core.errors import UPSError, printable

T = TypeVar("T")

MAX_BYTES = 64 * 1024**2
"""Largest file that is read at once; files that hold arrays have readers of their own."""


class UnsoundFile(UPSError):
    """A file is missing, cannot be read, is not a regular file, or does not contain what it should.

    Args:
        path: the file.
        problem: what is wrong with it, to follow the path in a sentence.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(printable(f"{path} {problem}"))
        self.path = path
        self.problem = problem

    @classmethod
    def changed(cls, path: Path, expected: object, found: str) -> UnsoundFile:
        """For a file, or the content of one, that has another checksum than was noted."""
        return cls(path, f"does not match its checksum (expected {str(expected)[:12]}, found {found[:12]})")


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; the caller closes it.

    Raises:
        UnsoundFile: it cannot be opened, or is a link, a FIFO, a device or a folder.
    """
    # O_NONBLOCK: opening a FIFO without it waits for a writer. It means nothing for regular files.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_symlink():
            raise UnsoundFile(path, "is a link, which is not followed; put the file itself there") from None
        problem = (
            "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        )
        raise UnsoundFile(path, problem) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsoundFile(path, "is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a file. Raises :class:`UnsoundFile`, also if it has more than `limit` bytes."""
    with open_regular(path) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise UnsoundFile(path, f"cannot be read ({error.strerror})") from None
    if len(content) > limit:
        raise UnsoundFile(path, f"has more than {limit} bytes, too many for such a file")
    return content


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The content of a UTF-8 file. Raises :class:`UnsoundFile`."""
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsoundFile(path, f"is not UTF-8 text (byte {error.start})") from None


def load_json(path: Path) -> Any:
    """The content of a JSON file. Raises :class:`UnsoundFile`."""
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise UnsoundFile(path, "is not readable JSON: it is nested too deeply") from None
    except ValueError as error:
        raise UnsoundFile(path, f"is not readable JSON: {error}") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None if it is missing or unreadable."""
    try:
        return load_json(path)
    except UnsoundFile:
        return None


def in_form(path: Path, validate: Callable[[Any], T], content: Any, what: str) -> T:
    """The content of a file as a pydantic form describes it.

    Args:
        path: the file, named in the error.
        validate: of the form: `model_validate`, or `validate_python` of an adapter.
        content: plain data.
        what: that the content should be, such as "the record of a run".

    Raises:
        UnsoundFile: a value is missing or of another type; the message names the first one.
    """
    try:
        return validate(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UnsoundFile(path, f"is not {what} ('{place}')") from None
