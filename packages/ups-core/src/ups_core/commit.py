"""The commit that is checked out in a folder, read from its repository without running git.

git runs commands that the folder's own configuration names (`core.fsmonitor`, filters), and people run specs
in folders that came from somebody else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ups_core.reading import UnsoundFile, read_text

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MAX_BYTES = 16 * 1024**2
"""Of a file with the packed references of a repository."""


def commit_of(folder: Path) -> str | None:
    """The commit, in hexadecimal; None outside a repository, or where it has no commit."""
    for parent in (folder, *folder.parents):
        if os.path.lexists(place := parent / ".git"):
            return _head(_repository(place))
    return None


def _repository(place: Path) -> Path:
    """The folder of the repository; in a worktree or submodule `.git` is a file that says where it is."""
    if place.is_dir():
        return place
    return place.parent / _text(place).removeprefix("gitdir: ").strip()


def _head(repository: Path) -> str | None:
    head = _text(repository / "HEAD").strip()
    if not head.startswith("ref: "):
        return head if COMMIT.fullmatch(head) else None
    name = PurePosixPath(head.removeprefix("ref: "))
    if name.parts[:1] != ("refs",) or ".." in name.parts:
        return None
    common = repository / (_text(repository / "commondir").strip() or ".")  # of a worktree
    return next(_commits(common, str(name)), None)


def _commits(repository: Path, name: str) -> Iterator[str]:
    """What a reference points to: in a file of its own, or in the file of packed references."""
    own = _text(repository / name).strip()
    if COMMIT.fullmatch(own):
        yield own
    for line in _text(repository / "packed-refs").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name and COMMIT.fullmatch(commit):
            yield commit


def _text(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except UnsoundFile:
        return ""
