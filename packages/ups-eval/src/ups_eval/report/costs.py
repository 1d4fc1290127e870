"""What models cost: parameters, time and memory of a step, training, and a classical solver at equal
error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ups_core.names import step_id
from ups_eval.cost import break_even, cheapest
from ups_eval.report.collect import Evaluation, Run
from ups_eval.tables import DASH, format_number, format_seconds


@dataclass(frozen=True)
class CostRow:
    """One model on one task, as text."""

    model: str
    parameters: str
    evaluations: str
    step: str
    memory: str
    training: str
    solver: str
    pays: str


def cost_rows(evaluation: Evaluation, run: Run, task: str) -> list[CostRow]:
    """Costs of every model that was scored on a task."""
    results = evaluation.results
    problem = results.problems.get(task)
    runs = problem.solver_runs if problem is not None else []
    rows = []
    for model, curve in results.per_step.get(task, {}).items():
        count = len(results.trajectories[task])
        rollout = results.seconds.get(task, {}).get(model, math.nan) / max(1, count)
        memory = results.memory.get(task, {}).get(model)
        training = _training_seconds(run, results.model, model)
        evaluations = results.evaluations.get(task, {}).get(model)
        error = results.value(task, model)
        known = error is not None and math.isfinite(error) and problem is not None and problem.solver
        found = cheapest(runs, error) if known and error is not None else None
        solver = pays = DASH
        if found is not None and problem is not None:
            points = "x".join(map(str, found.points))
            solver = f"{milliseconds(found.seconds)} on {points}"
            if training is not None:
                needed = break_even(training, rollout, found.seconds)
                pays = "never" if math.isinf(needed) else f"{needed:,.0f} solves"
        elif known:
            solver = "no grid is as accurate"
        rows.append(
            CostRow(
                model,
                f"{results.parameters.get(model, 0):,}",
                DASH if evaluations is None else f"{evaluations:,.4g}",
                milliseconds(rollout / max(1, len(curve))),
                DASH if memory is None else f"{memory / 1e6:.3g} MB",
                format_seconds(training),
                solver,
                pays,
            )
        )
    return rows


def milliseconds(seconds: float) -> str:
    """A short time."""
    return f"{format_number(1000 * seconds)} ms"


def _training_seconds(run: Run, tested: str, model: str) -> float | None:
    """Time of the steps that trained a model: of the one under test all that train no baseline."""
    if model == tested:
        own = [
            step
            for step in run.steps
            if "optimizer" in run.options.get(step.id, {}) and step.id not in run.baselines
        ]
        return sum(step.seconds for step in own) or None
    return next((step.seconds for step in run.steps if step.id == step_id(model) and step.seconds), None)
