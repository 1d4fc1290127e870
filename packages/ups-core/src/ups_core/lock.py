"""A lock on a run directory: two runs in one directory would overwrite each other's work."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ups_core.errors import UPSError
from ups_core.files import open_own
from ups_core.reading import UnsoundFile, read_text

FILE = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel releases it however the process ends.

    Raises:
        UPSError: another process holds it, which the message names with its host, or the file is a link.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Mode "a+": opening must not truncate the owner's name, which a refused process prints.
    with open_own(directory / FILE, "a+") as file:
        try:
            # The kernel drops flock with the last open descriptor: no stale lock after SIGKILL.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise UPSError(
                f"{directory} is in use by {owner}; wait for it, stop it, or start a new run with --fresh"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def in_use(directory: Path) -> bool:
    """Whether the process that has noted itself in the lock is alive; true for one on another machine.

    Nothing is locked, not even for a moment: a run that starts now would be refused.
    """
    try:
        owner = re.fullmatch(r"process (\d+) on (.+)", read_text(directory / FILE))
    except UnsoundFile:
        return False
    if owner is None or owner[2] != socket.gethostname():
        return owner is not None
    try:
        os.kill(int(owner[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is another user's
        return True
    return True
