"""A lock on a run directory: two runs in one directory would overwrite each other's work."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ups_core.errors import UPSError
from ups_core.files import open_own


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel releases it however the process ends.

    Raises:
        UPSError: another process holds it, which the message names with its host, or the file is a link.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # Mode "a+": opening must not truncate the owner's name, which a refused process prints.
    with open_own(directory / ".lock", "a+") as file:
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
