"""How `ups-run` prints a plan, what a launcher would submit for it, and what to do after it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence

from ups_core.advice import advice_on
from ups_core.cli.output import print_table
from ups_core.plan import Plan
from ups_core.plugin_loader import registry_in_use
from ups_core.reuse import describe_changes


def print_plan(plan: Plan) -> None:
    """Print the plan as text."""
    print(f"run  {plan.directory}")
    for line in describe_changes(plan):
        print(line)
    rows = []
    for name, data in plan.data.items():
        state = f"{len(data.missing)} of {len(data.files)} missing" if data.missing else "ready"
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


def next_commands(plan: Plan) -> list[str]:
    """The commands that look at a finished run, of those that plugins provide."""
    scored = any("metrics" in step.spec.config.produces for step in plan.steps)
    known = {entry.name for entry in registry_in_use().entries("commands")}
    trained = any("simulator" in step.spec.config.produces for step in plan.steps)
    wanted = [("eval", "eval show")] * scored + [("predict", "predict")] * trained + [("verify", "verify")]
    return [f"ups {text} {shlex.quote(str(plan.directory))}" for name, text in wanted if name in known]
