"""Where things are in a run directory, and whether a step's result is there."""

from __future__ import annotations

from pathlib import Path

from ups_core.files import read_json


def step_directory(run: Path, step_id: str) -> Path:
    """Where a finished step's files are."""
    return run / "steps" / step_id


def partial_directory(run: Path, step_id: str) -> Path:
    """Where a step writes until it is complete."""
    return run / "steps" / f".{step_id}.partial"


def is_done(run: Path, step_id: str, fingerprint: str) -> bool:
    """Whether the run directory holds this step's result, made with the same fingerprint."""
    record = read_json(step_directory(run, step_id) / "step.json") or {}
    return record.get("status") == "completed" and record.get("fingerprint") == fingerprint


def run_directory(runs_dir: Path, name: str, fingerprint: str, fresh: bool) -> Path:
    """The directory of a run: the newest one of this fingerprint, or with `fresh` a new one beside it."""
    first = runs_dir / f"{name}-{fingerprint[:8]}"
    newest, number = first, 1
    while (later := Path(f"{first}-{number + 1}")).exists():
        newest, number = later, number + 1
    return Path(f"{first}-{number + 1}") if fresh and first.exists() else newest
