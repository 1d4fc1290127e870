"""The page of a run: a copy of what its last step with a page left, where people look for it."""

from __future__ import annotations

from pathlib import Path

from ups_core.console import Console
from ups_core.files import write_bytes
from ups_core.finished_step import FinishedStep
from ups_core.layout import clear
from ups_core.plan import Plan
from ups_core.reading import UnsoundFile, read_bytes

PAGE = "index.html"
"""A step that leaves this file has a page."""


def page_of(run: Path) -> Path:
    """Where the page of a run is."""
    return run / "report" / PAGE


def publish_page(plan: Plan, console: Console | None = None) -> None:
    """Copy the page of the last finished step that has one to `report/`, also where that step was kept.

    Args:
        plan: of the run.
        console: reports that another page was there, where no step can have changed it.
    """
    for step in reversed(plan.steps):
        try:
            found = FinishedStep.read(plan.directory, step.id)
        except UnsoundFile:
            continue
        if found.record.fingerprint == step.fingerprint and PAGE in found.record.files:
            target = page_of(plan.directory)
            if target.parent.is_symlink():
                clear(target.parent)
            page = read_bytes(found.file(PAGE))
            if _content(target) != page:
                if console is not None:
                    console.say(f"{target} is not the page of step '{step.id}'; it is copied again", "yellow")
                write_bytes(target, page)
            return


def _content(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except UnsoundFile:
        return None
