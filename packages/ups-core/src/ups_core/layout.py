"""Where things are in a run directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ups_core.errors import UPSError


def step_directory(run: Path, step_id: str) -> Path:
    """Where a finished step's files are."""
    return run / "steps" / step_id


def partial_directory(run: Path, step_id: str) -> Path:
    """Where a step writes until it is complete."""
    return run / "steps" / f".{step_id}.partial"


def clear(directory: Path) -> None:
    """Delete a directory with all that is in it; of a link only the link.

    Raises:
        UPSError: something in it cannot be deleted; what is left would be taken for this run's own.
    """
    if not os.path.lexists(directory):
        return
    try:
        if directory.is_symlink() or not directory.is_dir():
            directory.unlink()
        else:
            shutil.rmtree(directory)
    except OSError as error:
        raise UPSError(
            f"cannot delete {error.filename or directory} ({error.strerror}); delete {directory} by hand"
        ) from None


def run_directory(runs_dir: Path, name: str, fingerprint: str, fresh: bool) -> Path:
    """The directory of a run: the newest one of this fingerprint, or with `fresh` a new one beside it."""
    first = runs_dir / f"{name}-{fingerprint[:8]}"
    newest, number = first, 1
    while (later := Path(f"{first}-{number + 1}")).exists():
        newest, number = later, number + 1
    return Path(f"{first}-{number + 1}") if fresh and first.exists() else newest
