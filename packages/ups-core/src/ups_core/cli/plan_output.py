"""How `ups-run` prints a plan, and what a launcher would submit for it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ups_core.advice import advice_on
from ups_core.cli.output import print_table
from ups_core.plan import Plan
from ups_core.reuse import describe_changes


def print_plan(plan: Plan) -> None:
    """Print the plan as text."""
    print(f"run  {plan.directory}")
    for line in describe_changes(plan):
        print(line)
    rows = []
    for name, data in plan.data.items():
        state = f"{len(data.missing)} of {len(data.files)} to generate" if data.missing else "ready"
        rows.append((name, data.source, state, data.fingerprint[:12], data.note))
    print_table(("task", "source", "files", "fingerprint", "note"), rows)
    print()
    steps = [
        (
            step.id,
            step.uses,
            step.state,
            step.fingerprint[:12],
            ", ".join(step.after) or "-",
            "baseline" if step.baseline else "",
        )
        for step in plan.steps
    ]
    print_table(("step", "uses", "state", "fingerprint", "after", ""), steps)
    for step in plan.steps:
        if step.problem:
            print(f"{step.id}: {step.problem}")
    for line in advice_on(plan, plan.steps):
        print(line)


def print_submissions(submissions: Sequence[Mapping[str, str]]) -> None:
    """Print what would be submitted as text."""
    for step in submissions:
        print(f"step {step['step']} ({step['uses']}), launcher {step['launcher']}:")
        print(textwrap.indent(step["submits"].rstrip(), "  "))
    if not submissions:
        print("nothing to do: all steps are done")
