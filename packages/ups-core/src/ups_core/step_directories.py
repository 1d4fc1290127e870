"""The directories of a step: begun or resumed in a hidden one, put in place when the step is complete."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ups_core.files import sync_directory, write_json
from ups_core.finished_step import RECORD, FinishedStep
from ups_core.layout import clear, partial_directory, step_directory
from ups_core.reading import UnsoundFile, read_json


def begin_step(run: Path, header: Mapping[str, Any]) -> Path:
    """The directory that the step writes into, with what an earlier attempt left if it can be resumed.

    Args:
        run: the run directory.
        header: `id` and `fingerprint` of the step, and more for its `step.json`.

    Raises:
        UPSError: what an attempt with other options, data or code left cannot be deleted.
    """
    step_id, fingerprint = header["id"], header["fingerprint"]
    partial = partial_directory(run, step_id)
    if not os.path.lexists(partial):
        _salvage(run, step_id, fingerprint)
    begun = read_json(partial / RECORD)
    same = isinstance(begun, dict) and begun.get("fingerprint") == fingerprint
    if partial.is_symlink() or not same:
        clear(partial)
    partial.mkdir(parents=True, exist_ok=True)
    write_json(partial / RECORD, header)
    return partial


def _salvage(run: Path, step_id: str, fingerprint: str) -> None:
    """Let a finished step of which files are damaged resume from the sound ones, such as its checkpoints."""
    try:
        found = FinishedStep.read(run, step_id)
    except UnsoundFile:
        return
    unsound = set(found.record.files).difference(found.sound_files())
    if found.record.fingerprint != fingerprint or not unsound:
        return  # a sound step that runs again starts from the beginning
    for name in unsound:
        clear(found.directory / name)
    found.directory.rename(partial_directory(run, step_id))


def put_in_place(run: Path, step_id: str) -> None:
    """Give a complete step its name; the one that had it before is deleted only then."""
    # A directory cannot be renamed onto one that is not empty. Between the two renames there is no
    # finished step, so a process that is killed here runs the step again.
    final = step_directory(run, step_id)
    stale = final.with_name(f".{final.name}.stale")
    clear(stale)
    if os.path.lexists(final):
        final.rename(stale)
    partial_directory(run, step_id).rename(final)
    sync_directory(final.parent)
    clear(stale)
