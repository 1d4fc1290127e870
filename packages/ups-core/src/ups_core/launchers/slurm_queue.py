"""The queue of a Slurm cluster: the state of a job, and the job that an earlier run left in it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from ups_core.plan import PlannedStep
from ups_core.reading import UnsoundFile, in_form, load_json

OVER = {
    "",
    *["BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"],
}
"""Final states; a job that squeue no longer knows has the empty one."""
JOB = "job.json"
"""In a step's Slurm folder: the job that was submitted last."""


class Job(BaseModel):
    """The content of `job.json`: number of the job, fingerprint of the step that it was submitted for."""

    job: Annotated[str, StringConstraints(pattern=r"^\d+(_\d+)?$")]
    fingerprint: str


def left_behind(folder: Path, step: PlannedStep) -> str | None:
    """The job of an earlier `ups-run` that is still in the queue; one with other options is cancelled."""
    try:
        noted = in_form(folder / JOB, Job.model_validate, load_json(folder / JOB), "the number of a job")
    except UnsoundFile:
        return None
    if state(noted.job) in OVER:
        return None
    if noted.fingerprint != step.fingerprint:
        subprocess.run(["scancel", noted.job], check=False)
        return None
    return noted.job


def state(job: str) -> str:
    """The state of a job by squeue; empty where squeue no longer knows the job."""
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={job}", "--states=all"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode and "Invalid job id" not in result.stderr:
        return "UNKNOWN"  # the controller is busy or restarting: not a final state, so the query is repeated
    return result.stdout.strip()
