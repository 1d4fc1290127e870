"""Exports the data of a task to a folder, completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ups_core import UsageError
from ups_core.console import Console
from ups_core.files import check_room, sync_directory
from ups_data.export.formats import FORMATS
from ups_data.export.pieces import check_names
from ups_data.export.well_statistics import WellStatistics
from ups_data.stores.base import Fields
from ups_data.tasks.base import Task
from ups_data.tasks.sourced import SourcedTask


def check_folder(folder: Path) -> None:
    """Check that an export may write a folder, before the work that it is for.

    Raises:
        UsageError: it exists, or the directory that it would be in does not.
    """
    if os.path.lexists(folder):
        raise UsageError(f"{folder} already exists; choose another -o or remove it")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"{folder.absolute().parent} is not a directory; create it or choose another -o")


def export(task: Task, fmt: str, folder: Path, data_root: Path, console: Console) -> list[tuple[Path, int]]:
    """Write the data of a task.

    Args:
        task: its data are generated if they are missing, and audited.
        fmt: one of :data:`~ups_data.export.formats.FORMATS`.
        folder: a new folder; it appears when everything is written.
        data_root: where the task's data are.
        console: shows progress.

    Returns:
        Every file and its number of trajectories.

    Raises:
        UPSError: the folder exists, there is no room, the data are broken, or the format has no place for
            them.
    """
    check_folder(folder)
    task.prepare_data(data_root, console)
    data = task.open(data_root)
    request = task.request if isinstance(task, SourcedTask) else None
    pieces, write = FORMATS[fmt](data, request)
    check_names(pieces)
    check_room(folder.absolute().parent, sum(piece.nbytes for piece in pieces), f"the export {folder.name}")
    statistics = WellStatistics(data.info) if fmt == "the_well" else None
    temporary = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}.", suffix=".tmp"))
    try:
        inner = temporary / folder.name  # made with the user's permissions; mkdtemp's are private
        with console.progress(f"exporting {task.name}", sum(len(piece.rows) for piece in pieces)) as advance:

            def counted(blocks: Iterable[Fields]) -> Iterator[Fields]:
                for block in blocks:
                    yield block
                    advance(len(block.frames))

            for piece in pieces:
                path = inner / piece.path
                path.parent.mkdir(parents=True, exist_ok=True)
                train = statistics is not None and piece.path.parent.name == "train"
                blocks = statistics.passing(piece) if statistics and train else piece.blocks()
                write(path, piece, counted(blocks))
        if statistics is not None:
            statistics.write(inner / "stats.yaml")
        os.rename(inner, folder)
        sync_directory(folder.absolute().parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [(folder / piece.path, len(piece.rows)) for piece in pieces]
