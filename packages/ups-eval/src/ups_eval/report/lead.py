"""The result in words: what the first screen of the page says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ups_core.names import step_id
from ups_eval.bootstrap import Estimate, compare, estimate
from ups_eval.breakdown import sample
from ups_eval.report.collect import Evaluation, Run
from ups_eval.tables import format_number, metric_label

SAME = ("epochs", "max_steps", "budget", "batch_size", "optimizer", "scheduler", "losses", "pushforward")
"""Options of a training that a fair comparison keeps equal, where the stages have them."""


def sentences(evaluation: Evaluation, run: Run) -> list[str]:
    """One sentence per task, then how the baselines were trained."""
    found = [_task(evaluation, task) for task in evaluation.results.tasks]
    trained = training_sentence(evaluation, run)
    return [*found, trained] if trained else found


def _task(evaluation: Evaluation, task: str) -> str:
    results = evaluation.results
    model, metric = results.model, results.criterion
    count = len(results.trajectories.get(task, ()))
    where = f"On {count} {results.split} trajectories of {task}" if count else f"On {task}"
    if diverged := results.diverged(task, model):
        return f"{where}, {model} diverges on {diverged}."
    value = results.value(task, model, metric)
    if value is None:
        return f"{where}, {model} was not scored."
    frames = len(results.per_step.get(task, {}).get(model, ()))
    if frames > 1:
        where += f" over {frames} predicted frames"
    ours = sample(results, evaluation.statistics, task, model, metric)
    interval = _interval(estimate([ours])) if ours is not None else ""
    text = f"{where}, {model} has {metric_label(metric)} {format_number(value)}{interval}"
    shares, ties, others = _against(evaluation, task)
    parts = [f"that is {_listed(shares)}"] if shares else []
    parts += [f"these trajectories do not tell it from {_listed(ties)}"] if ties else []
    return f"{'; '.join([text, *parts, *others])}."


def _against(evaluation: Evaluation, task: str) -> tuple[list[str], list[str], list[str]]:
    """Shares of the errors of baselines, baselines that cannot be told apart, and what else must be said."""
    results = evaluation.results
    shares, ties, others = [], [], []
    ours = sample(results, evaluation.statistics, task, results.model, results.criterion)
    for name in results.baselines:
        theirs = sample(results, evaluation.statistics, task, name, results.criterion)
        if results.diverged(task, name):
            others.append(f"{name} diverges")
        elif ours is not None and theirs is not None:
            found = compare([ours], [theirs], seed_spread=None)
            if found.known and found.low <= 1 <= found.high:
                ties.append(f"{name} ({_share(found)})")
            elif math.isfinite(found.value):
                ends = _ends(found)
                of = "" if found.value >= 9.95 else " of"
                shares.append(f"{_percent(found.value)}{of} {name}'s{ends}")
    return shares, ties, others


def _share(found: Estimate) -> str:
    return f"{_percent(found.value)}, {_percent(found.low)} to {_percent(found.high)}"


def _ends(found: Estimate) -> str:
    """The interval in parentheses; nothing where it is not known, or reads like the value."""
    low, high = _percent(found.low), _percent(found.high)
    return f" ({low} to {high})" if found.known and low != high else ""


def _percent(ratio: float) -> str:
    """A ratio as a share; above ten times as a multiple."""
    if ratio < 1e-3:
        return "less than 0.1\N{NO-BREAK SPACE}%"
    if ratio >= 9.95:
        return f"{ratio:.0f} times"
    return f"{float(f'{100 * ratio:.2g}'):g}\N{NO-BREAK SPACE}%"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _interval(found: Estimate) -> str:
    if not found.known:
        return ""
    return f" (95\N{NO-BREAK SPACE}%: {format_number(found.low)} to {format_number(found.high)})"


def training_sentence(evaluation: Evaluation, run: Run) -> str:
    """How the trained baselines were trained, compared with the model; "" where none is."""
    model = next(
        (
            step
            for step, options in run.options.items()
            if step not in run.baselines and "optimizer" in options
        ),
        None,
    )
    names = [
        name for name in evaluation.results.baselines if "optimizer" in run.options.get(step_id(name), {})
    ]
    if model is None or not names:
        return ""
    equal, other = [], []
    for name in names:
        changed = [key for key in SAME if run.options[step_id(name)].get(key) != run.options[model].get(key)]
        steps = _steps(run, step_id(name)), _steps(run, model)
        if steps[0] != steps[1] and not {"epochs", "max_steps", "budget"} & set(changed):
            changed.append("steps")
        if changed:
            other.append(f"{name} with other {', '.join(changed)}")
        else:
            equal.append(name)
    parts = []
    if equal:
        verb = "was" if len(equal) == 1 else "were"
        parts.append(f"{' and '.join(equal)} {verb} trained with the same {_described(run, model)}, untuned")
    if other:
        parts.append(f"{' and '.join(other)}, untuned" if equal else f"{' and '.join(other)}; none was tuned")
    return f"{'; '.join(parts)}."


def _described(run: Run, step: str) -> str:
    options: Mapping[str, Any] = run.options[step]
    steps = _steps(run, step)
    optimizer = options["optimizer"]
    kind = optimizer["kind"] if isinstance(optimizer, Mapping) else str(optimizer)
    rate = optimizer.get("lr") if isinstance(optimizer, Mapping) else None
    words = [f"{steps:,} steps" if steps else "budget"]
    words.append(f"{kind} (lr {rate:g})" if isinstance(rate, (int, float)) else str(kind))
    return " and ".join(words)


def _steps(run: Run, step: str) -> int:
    """Optimizer steps at the last line of a training's log; 0 if it has none."""
    for log in run.training:
        if log.step == step:
            return int(max((steps[-1] for steps, _ in log.series.values() if steps), default=0))
    return 0
