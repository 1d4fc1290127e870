"""What negative verdicts of a run mean for its later steps and for its exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ups_core.finished_step import FinishedStep
from ups_core.plan import Plan, PlannedStep
from ups_core.reading import UnsoundFile


def stopped_by(plan: Plan, step: PlannedStep) -> str | None:
    """The id of an earlier step whose verdict stopped the run; None for steps that report on all others."""
    if step.spec.config.always:
        return None
    for earlier in plan.steps[: plan.steps.index(step)]:
        with suppress(UnsoundFile):
            record = FinishedStep.read(plan.directory, earlier.id).record
            if record.fingerprint == earlier.fingerprint and record.verdict and record.verdict.ends_run:
                return earlier.id
    return None


def negative_verdicts(record: Mapping[str, Any]) -> Iterator[str]:
    """A line for every step of a run's record whose verdict is negative."""
    for step in record["steps"]:
        verdict = step.get("verdict")
        if verdict is not None and not verdict["passed"]:
            yield f"step '{step['id']}' did not pass: {verdict['reason']}"
