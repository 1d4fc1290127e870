"""Checkpoint files: complete or absent, with a SHA-256 beside each that is checked before use.

The checksum file has the format that `sha256sum --check` reads. A checkpoint without one, with different
content, or with anything but tensors and plain data inside is never used: the previous one is.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from ups_core import UPSError
from ups_core.files import write_bytes, write_text
from ups_core.reading import UnsoundFile, read_text
from ups_core.sums import sum_of, sums_of

FORMAT = 3
"""Layout of checkpoints; raised when those of earlier versions can no longer be resumed."""
SUM = ".sha256"
RESUMABLE = "step-{:08d}.ckpt"
"""Name of a checkpoint that training resumes from."""
SCORED = "weights-{:08d}.ckpt"
"""Name of one that was scored while gradients were pending: its weights are valid, but training cannot resume
from it exactly."""


class CheckpointFiles(CheckpointIO):
    """How Lightning writes and reads checkpoints here.

    Args:
        asynchronous: write in a thread, one file at a time; the content is serialised before.
    """

    def __init__(self, asynchronous: bool = False) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint") if asynchronous else None
        self._writing: Future[None] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UPSError: it, or the one before it in the background, could not be written.
        """
        self.wait()
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if self._thread is None:
            _write(Path(path), buffer.getbuffer())
        else:
            self._writing = self._thread.submit(_write, Path(path), buffer.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; anything but tensors and plain data is refused, whatever `weights_only` says."""
        content: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint and its sum."""
        remove(Path(path))

    def wait(self) -> None:
        """Wait until the file that is being written is on disk."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def teardown(self) -> None:
        """The training is over."""
        self.wait()


def newest_sound(folder: Path, report: Callable[[str], None]) -> Path | None:
    """The newest usable checkpoint to resume from; None if there are none.

    Raises:
        UPSError: all of them are damaged, or of an earlier version: the user decides to start from scratch.
    """
    found = [folder / RESUMABLE.format(step) for step in reversed(saved_steps(folder))]
    for path in found:
        damage = find_damage(path)
        if damage is None:
            return path
        report(f"checkpoint {path} ({_size(path)} bytes) {damage}; using the previous one")
    if found:
        raise UPSError(
            f"no checkpoint in {folder} can be used; to start this step from scratch, delete that folder"
        )
    return None


def find_damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    if not os.path.lexists(path.with_name(path.name + SUM)):
        return "has no sha256 file"
    try:
        noted = read_text(path.with_name(path.name + SUM)).split()
        digest = digest_of(path)
    except UnsoundFile as error:
        return f"cannot be used: {error}"
    if not noted or noted[0] != digest:
        return "does not match its sha256"
    if path.is_dir():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch.load raises anything over a file that is not a checkpoint
        return f"contains something other than tensors and plain data ({type(error).__name__})"
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        return f"has the format {found or 1} of another version; this version resumes format {FORMAT}"
    return None


def seal(path: Path) -> None:
    """Write the sum of a checkpoint that a strategy wrote by itself."""
    _note(path, digest_of(path))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder. Raises :class:`UnsoundFile`."""
    if not path.is_dir() or path.is_symlink():
        return sum_of(path)
    listing = "".join(f"{noted.sha256}  {name}\n" for name, noted in sums_of(path).items())
    return hashlib.sha256(listing.encode()).hexdigest()


def saved_steps(folder: Path) -> list[int]:
    """Steps of the checkpoints to resume from, oldest first."""
    names = (re.fullmatch(r"step-(\d{8,})\.ckpt", path.name) for path in folder.glob("step-*.ckpt"))
    return sorted(int(name[1]) for name in names if name)


def prune(folder: Path, keep: Collection[Path], report: Callable[[str], None]) -> None:
    """Delete all other checkpoints; what cannot be deleted stays."""
    for path in set(folder.glob("*.ckpt")).difference(keep):
        try:
            remove(path)
        except OSError as error:
            report(f"cannot delete {path}: {error.strerror}")


def set_aside(folder: Path, after: int) -> None:
    """Rename what is newer than the step that training resumes from: it is damaged, or half written."""
    for step in saved_steps(folder):
        if step > after:
            path = folder / RESUMABLE.format(step)
            path.replace(path.with_name(path.name + ".damaged"))
    for path in folder.glob(".*.tmp"):
        path.unlink()


def remove(path: Path) -> None:
    """Delete a checkpoint and its sum."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.with_name(path.name + SUM).unlink(missing_ok=True)


def _write(path: Path, content: memoryview) -> None:
    try:
        _note(path, hashlib.sha256(content).hexdigest())
        write_bytes(path, content)
    except OSError as error:
        raise UPSError(
            f"cannot write {path} ({len(content)} bytes): {error.strerror}; earlier checkpoints are intact; "
            "free some disk space and rerun the same command to resume"
        ) from error


def _note(path: Path, digest: str) -> None:
    write_text(path.with_name(path.name + SUM), f"{digest}  {path.name}\n")


def _size(path: Path) -> int:
    return path.lstat().st_size
