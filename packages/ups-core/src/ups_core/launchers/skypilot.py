"""The launcher `skypilot`: a step on a machine that SkyPilot rents and takes down.

SkyPilot is used as a program on PATH: as a Python dependency it would pin the versions of many packages.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.execution import execute
from ups_core.files import write_text
from ups_core.launcher import IN_PROCESS
from ups_core.launchers.config import SkyPilotConfig
from ups_core.launchers.skypilot_task import cluster_name, remote_partial, task_yaml
from ups_core.launchers.worker_attempts import Ended, run_attempts
from ups_core.layout import partial_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.step import StepResult

STDERR = 2
"""Where the output of `sky` and `rsync` goes: standard output is for results."""


class SkyPilot:
    """Rents a machine, runs the step worker there, fetches what it left, and takes the machine down."""

    def __init__(self, config: SkyPilotConfig) -> None:
        self.config = config

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """The task file that `sky launch` would get."""
        return task_yaml(self.config, plan, step) if step.spec.config.distributed else IN_PROCESS

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        """Execute the step on a rented machine; returns its result.

        The machine is taken down however the step ends; what the step wrote is fetched first.

        Raises:
            UPSError: `sky` or `rsync` is not installed, no machine was available, or the step failed.
        """
        if not step.spec.config.distributed:
            return execute(plan, step, console)
        for program, way in (
            ("sky", "pip install skypilot, then run: sky check"),
            ("rsync", "install rsync"),
        ):
            if shutil.which(program) is None:
                raise UPSError(f"the launcher 'skypilot' needs the command {program} on PATH: {way}")
        file = plan.directory / "skypilot" / f"{step.id}.yaml"
        text = task_yaml(self.config, plan, step)
        write_text(file, plan.document.redacted(text))
        name = cluster_name(plan, step)
        console.say(f"  machine {name}: sky launch with {file}, at most {self.config.budget_seconds} s")
        try:
            with _with_values(file, text) as complete:
                return run_attempts(plan, step, console, lambda: _attempt(name, complete, plan, step))
        finally:
            if _run("sky", "down", "--yes", name):
                console.say(
                    f"  machine {name}: could not be taken down; check sky status, then run: sky down {name}"
                )


@contextmanager
def _with_values(file: Path, text: str) -> Iterator[Path]:
    """A task file with values of the environment: a private one that is deleted, where the run's has none."""
    if file.read_text() == text:
        yield file
        return
    with tempfile.NamedTemporaryFile("w", prefix="ups-", suffix=".yaml") as private:  # mode 0600
        private.write(text)
        private.flush()
        yield Path(private.name)


def _attempt(name: str, file: Path, plan: Plan, step: PlannedStep) -> Ended | None:
    """Run the task and fetch the step's directory, also when the task is interrupted."""
    try:
        # Without a value, sky takes it from the environment, so that it is in no list of processes.
        values = (word for variable in plan.document.environment for word in ("--env", variable))
        code = _run("sky", "launch", "--yes", "--cluster", name, *values, str(file))
    finally:
        source = f"{name}:{remote_partial(plan, step)}/"
        fetched = _run(
            "rsync", "--archive", "--compress", source, f"{partial_directory(plan.directory, step.id)}/"
        )
    if code:
        return Ended(f"sky launch ended with code {code}; its output is above")
    if fetched:
        return Ended(f"the results could not be fetched: rsync of {source} ended with code {fetched}")
    return None


def _run(*command: str) -> int:
    return subprocess.run(command, stdout=STDERR, stdin=subprocess.DEVNULL, check=False).returncode
