"""Files that are either complete or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO

from ups_core.errors import UPSError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it, flushed to disk, when the block succeeds.

    A reader sees the old content or the new one, never a part; what the block leaves when it raises is
    removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, because a rename is atomic within one file system only.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # Without fsync a power failure after the rename may leave an empty file under the final name.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; runs are read by others of the group.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_room(directory: Path, nbytes: int, what: str) -> None:
    """Check that a disk has room, before work begins that would end without it.

    Args:
        directory: where files will be written; it need not exist yet.
        nbytes: size of what will be written.
        what: its name, for the message.

    Raises:
        UPSError: there is less room than that.
    """
    place = directory.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if nbytes > free:
        raise UPSError(
            f"{directory} has room for {free / 1e9:.1f} GB, but {what} needs {nbytes / 1e9:.1f} GB; "
            "free some disk space or choose another directory"
        )


def sync_directory(directory: Path) -> None:
    """Flush a directory to disk: until then a power failure may undo the renames in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Replace `path` by `content` in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON; a number that JSON cannot hold (NaN, infinity) becomes null."""
    write_text(path, json.dumps(finite(value), indent=2, allow_nan=False) + "\n")


def open_own(path: Path, mode: Literal["a", "a+", "w"]) -> TextIO:
    """Open a text file for writing in place, such as a log; the caller closes it.

    Raises:
        UPSError: it is a link, which could lead to a file of the user that is not this run's, or is not a
            regular file.
    """

    def opener(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.ELOOP, "not a regular file")
        return descriptor

    try:
        return open(path, mode, encoding="utf-8", opener=opener)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO) or path.is_symlink():
            raise UPSError(f"{path} is not a regular file, and is not written to; delete it") from None
        raise


def finite(value: Any) -> Any:
    """Plain data that JSON can hold: numbers that are not finite become None, keys text, tuples lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _umask() -> int:
    mask = os.umask(0)  # the only way to read it is to set it
    os.umask(mask)
    return mask
