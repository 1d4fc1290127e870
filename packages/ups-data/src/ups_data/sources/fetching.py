"""Fetches official files that are missing: consent above 2 GB, room, download, checksum."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ups_core import UPSError
from ups_core.console import Console
from ups_core.errors import printable
from ups_core.files import check_room
from ups_data.sources.download import Download
from ups_data.sources.manifest import DATAFILE, DATASET, MD5
from ups_data.sources.request import DataFile, Request

ASK_ABOVE = 2e9
"""Bytes above which the user is asked."""


def size_text(nbytes: float) -> str:
    """`8.2 GB` or `12.3 MB`."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"


def check_published(request: Request) -> None:
    """Check that the manifest has all files of a request.

    Raises:
        UPSError: PDEBench did not publish one.
    """
    for file in request.files:
        if file.datafile not in MD5:
            published = f"PDEBench published {request.published}" if request.published else f"see {DATASET}"
            raise UPSError(f"{file.name} is not in the manifest of PDEBench's files; {published}")


def fetch_files(
    files: Sequence[DataFile], paths: Sequence[Path], console: Console, *, yes: bool, way_out: str
) -> None:
    """Download files, one after the other.

    Args:
        files: what is missing.
        paths: where each of them goes.
        console: shows progress.
        yes: whether the user has agreed to any size.
        way_out: how to agree, where nobody can be asked.

    Raises:
        UPSError: the user does not agree, there is no room, the server fails, or a checksum is wrong.
    """
    import pooch  # heavy, and only needed here

    total = sum(file.nbytes for file in files)
    if total > ASK_ABOVE and not yes:
        _ask(files, total, paths[0].parent, console, way_out)
    if files:
        check_room(paths[0].parent, total, f"{len(files)} files" if len(files) > 1 else files[0].name)
    pooch.get_logger().setLevel(logging.WARNING)
    for file, path in zip(files, paths, strict=True):
        assert file.datafile is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.parent / f".{path.name}.part"
        try:
            pooch.retrieve(
                DATAFILE.format(file.datafile),
                known_hash=f"md5:{MD5[file.datafile]}",
                fname=path.name,
                path=path.parent,
                downloader=Download(path.name, partial, console),
            )
        except ValueError as error:
            raise UPSError(
                f"{path.name}: what the server sent has another checksum than the manifest's "
                f"{MD5[file.datafile]} and was removed; try again later, or compare with {DATASET}"
            ) from error
        except OSError as error:
            raise UPSError(f"cannot write {path}: {error.strerror or printable(str(error))}") from error


def _ask(files: Sequence[DataFile], total: float, folder: Path, console: Console, way_out: str) -> None:
    count = f"{len(files)} files" if len(files) > 1 else files[0].name
    question = f"{count}: about {size_text(total)} will be fetched to {folder}"
    if not (console.interactive and sys.stdin.isatty()):
        raise UPSError(f"{question}; {way_out}")
    console.say(f"{question}. Continue? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UPSError("nothing was fetched")
