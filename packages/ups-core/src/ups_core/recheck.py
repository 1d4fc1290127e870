"""Compares the files of finished steps with their checksums before a run relies on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ups_core.console import Console
from ups_core.finished_step import FinishedStep
from ups_core.plan import FINISHED, Plan, PlannedStep
from ups_core.reading import UnsoundFile


def recheck(plan: Plan, console: Console) -> Plan:
    """The plan, in which steps with damaged files run again, and all that were computed from them.

    What is damaged is reported, one line for each step.
    """
    steps: list[PlannedStep] = []
    for step in plan.steps:
        missing = {other.id for other in steps if other.state not in FINISHED}
        if step.state in FINISHED:
            step = _checked(step, _home(plan, step))
        if step.problem and step.state != "foreign":
            console.say(f"{step.problem}; step '{step.id}' runs again", style="yellow")
        elif step.state in FINISHED and missing.intersection(step.after):
            step = replace(step, state="stale")
        steps.append(step)
    return replace(plan, steps=tuple(steps))


def _home(plan: Plan, step: PlannedStep) -> Path:
    """The run directory that has the step's result."""
    return plan.previous.directory if step.state == "kept" and plan.previous else plan.directory


def _checked(step: PlannedStep, run: Path) -> PlannedStep:
    try:
        FinishedStep.read(run, step.id).check()
    except UnsoundFile as error:
        # A damaged step of another run is not this run's to repair: it is simply not kept.
        return replace(step, state="to do" if step.state == "kept" else "damaged", problem=str(error))
    return step
