"""Ways to damage a file, and what a command made of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

LOGS = (".lock", "events.jsonl")
"""Files of a run that are written and never read."""


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if not content:
        content = bytearray(b"x")
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("something")


def _link(path: Path) -> None:
    elsewhere = path.with_name(f"{path.name}.moved")
    path.rename(elsewhere)
    path.symlink_to(elsewhere.resolve())


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "bit flipped": _flip,
    "deleted": lambda path: path.unlink(),
    "folder": _folder,
    "link": _link,
    "FIFO": _fifo,
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00{"),
    "other JSON": lambda path: path.write_text("[1, null]\n"),
}
"""Name -> what it does to a file."""


def files_below(folder: Path) -> list[str]:
    """Names of all files below a folder, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def damaged_copy(folder: Path, to: Path, name: str, damage: str) -> Path:
    """A copy of a folder with one damaged file; returns that file."""
    shutil.copytree(folder, to, symlinks=True)
    path = to / name
    DAMAGE[damage](path)
    return path
