"""The launcher `local`: runs each step in the runner's own process."""

from __future__ import annotations

from typing import ClassVar

from ups_core.base_configs import LauncherConfig
from ups_core.console import Console
from ups_core.execution import execute
from ups_core.launcher import IN_PROCESS
from ups_core.plan import Plan, PlannedStep
from ups_core.step import StepResult


class LocalLauncherConfig(LauncherConfig):
    """Runs each step in the process of `ups-run`, so on one device.

    Several devices need one process each: use `torchrun`, `slurm` or `skypilot`.
    """

    max_devices: ClassVar[int | None] = 1


class LocalLauncher:
    """Runs a step in the runner's own process."""

    def __init__(self, config: LocalLauncherConfig) -> None:
        self.config = config

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        """Execute the step."""
        return execute(plan, step, console)

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """There is nothing to submit."""
        return IN_PROCESS
