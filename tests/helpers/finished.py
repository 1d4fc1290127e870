"""Steps and runs as if they had been computed: sound records, with whatever files a test puts there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ups_core.finished_step import write_finished
from ups_core.layout import step_directory
from ups_core.plan import Plan
from ups_core.run_file import RUN
from ups_core.sealed import write_sealed


def finish_step(run: Path, step_id: str, fingerprint: str, **record: Any) -> Path:
    """Leave a finished step; returns its directory, whose other files are in the sums."""
    directory = step_directory(run, step_id)
    content = {"id": step_id, "uses": "stage: toy/train", "fingerprint": fingerprint, "status": "completed"}
    content |= {"started": "", "finished": "", "seconds": 1.5, "after": [], "options": {}, "providers": {}}
    directory.mkdir(parents=True, exist_ok=True)
    write_finished(directory, content | {"metrics": {}, "verdict": None} | record)
    return directory


def finish(plan: Plan, step_id: str, **record: Any) -> Path:
    """Leave a finished step of a plan."""
    return finish_step(plan.directory, step_id, **{"fingerprint": plan.step(step_id).fingerprint} | record)


def write_run(run: Path, steps: Mapping[str, str], **record: Any) -> None:
    """Leave `run.json` with these steps: id -> status; further keys replace the defaults."""
    entries = [{"id": name, "uses": "stage: toy/train", "status": status} for name, status in steps.items()]
    more = {"fingerprint": "x", "seconds": 1.5, "metrics": {}, "verdict": None, "details": {}}
    content = {"schema": 1, "name": "demo", "fingerprint": "x", "status": "completed", "started": ""}
    content |= {"spec": "", "finished": None, "seconds": 3.0, "command": [], "environment": {}, "data": {}}
    content |= {"steps": [entry | more for entry in entries], "metrics": {}}
    write_sealed(run / RUN, content | record)
