"""Which steps of a plan a command runs."""

from __future__ import annotations

from dataclasses import dataclass

from ups_core.errors import UPSError
from ups_core.plan import FINISHED, Plan, PlannedStep


@dataclass(frozen=True)
class Selection:
    """Which steps to run: what is not done, or (`only`, `start`) given ones, done or not."""

    only: str | None = None
    start: str | None = None

    def apply(self, plan: Plan) -> tuple[PlannedStep, ...]:
        """The steps to run, in order.

        Raises:
            UPSError: no such step, or a step before the chosen one has no finished result.
        """
        if self.only is None and self.start is None:
            return plan.todo
        first = plan.steps.index(plan.step(self.only or self.start or ""))
        chosen = plan.steps[first : first + 1] if self.only else plan.steps[first:]
        ids = {step.id for step in chosen}
        for step in chosen:
            for needed in step.after:
                if needed not in ids and plan.step(needed).state not in FINISHED:
                    raise UPSError(
                        f"step '{step.id}' needs '{needed}', which is {plan.step(needed).state}; "
                        f"run it first (--from {needed})"
                    )
        return chosen
