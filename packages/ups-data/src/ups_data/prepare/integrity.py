"""Checks the data files of a task against their checksums before anything is read from them.

Imports no numpy, because planning asks where the records are.
"""

from __future__ import annotations

from pathlib import Path

from ups_core import DataPlan
from ups_core.console import Console
from ups_core.reading import UnsoundFile
from ups_data.stores.checksums import check_noted, note_sum, noted_sum, own_sum, place_of_sum, sum_now

OWN = "files"
"""`DataPlan.source` of a user's own files."""


def place_of_audit(data_root: Path, fingerprint: str) -> Path:
    """Where the audit of data with this fingerprint is stored."""
    return data_root / "audits" / f"{fingerprint}.json"


def checked_sums(plan: DataPlan, task: str, console: Console, full: bool = False) -> tuple[str, ...]:
    """SHA-256 of all data files, compared with those that were noted when they were written or first used.

    A user's own files have no notes; of those above 2 GB a part is hashed.

    Args:
        plan: the files, none of them missing.
        task: their task, for messages.
        console: says if the checksum of a file that is used for the first time cannot be stored.
        full: compare all of large files, too.

    Raises:
        UnsoundFile: a file or its noted checksum is damaged.
    """
    return tuple(_checked_sum(path, plan.source, task, console, full) for path in plan.files)


def _checked_sum(path: Path, source: str, task: str, console: Console, full: bool) -> str:
    if source == OWN:
        return own_sum(path)
    try:
        noted = noted_sum(path)
    except UnsoundFile as error:
        raise UnsoundFile(error.path, f"{error.problem}; delete it to note the checksum again") from None
    if noted is None:
        try:
            return note_sum(path).full
        except OSError as error:
            # A read-only data root is legitimate (a shared disk).
            place = place_of_sum(path)
            console.say(f"{task}: cannot store {place} ({error.strerror}); later damage goes unnoticed")
            return sum_now(path).full
    try:
        check_noted(path, noted, full)
    except UnsoundFile as error:
        generated = "rerun the command to generate it again"
        replaced = f"restore it, or delete {place_of_sum(path)} if you have replaced it"
        way_out = generated if source == "generated" else replaced
        raise UnsoundFile(path, f"{error.problem}; {way_out}") from None
    return noted.full
