"""The contract of a launcher: how a step is started, in this process or elsewhere."""

from __future__ import annotations

from typing import Protocol

from ups_core.console import Console
from ups_core.plan import Plan, PlannedStep
from ups_core.step import StepResult

IN_PROCESS = "in this process"
"""Description of a step for which a launcher starts no other process."""


class Launcher(Protocol):
    """How steps are started; what `ups_register_launchers` registers creates one."""

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> StepResult:
        """Execute the step, wherever that is; what it leaves is in its partial directory afterwards.

        Raises:
            UPSError: the step failed; the message is one line for users.
        """
        ...

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """What :meth:`run` would start or submit, for `ups-run --dry-run`; changes nothing."""
        ...
