"""Judges the criteria of a gate: every number with its interval, and the worse end against the bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy.special import ndtri

from ups_core import UPSError
from ups_eval.bootstrap import Estimate, Sample, compare, estimate
from ups_eval.breakdown import Part, sample
from ups_eval.gate.config import Criterion, FrozenReference
from ups_eval.gate.names import CHAMPION
from ups_eval.gate.record import Judgement, known
from ups_eval.results import TRUTH, Results
from ups_eval.tables import format_number
from ups_eval.trajectory_statistics import Values

DEVIATIONS = 3.0
"""Standard deviations that a reproduced baseline may be off its reference."""

Seeds = Callable[[str, str, Part], Sequence[Sample]]
"""Task, metric, part -> samples, one per seed."""


@dataclass(frozen=True)
class Evidence:
    """What criteria are judged on.

    Attributes:
        results: of the rollout.
        arrays: of its statistics.
        confidence: of the intervals.
        seed_spread: relative standard deviation between seeds that is assumed where it is not measured.
        champion: task -> samples of the champion's seeds; a task without a champion is not there.
        siblings: task -> samples of other seeds of the model under test, for comparisons with the champion.
    """

    results: Results
    arrays: Mapping[str, Values]
    confidence: float = 0.95
    seed_spread: float = 0.0
    champion: Mapping[str, Seeds] = field(default_factory=dict)
    siblings: Mapping[str, Seeds] = field(default_factory=dict)


def judge(criterion: Criterion, evidence: Evidence) -> list[Judgement]:
    """One judgement for every task that the criterion is about; a missing number is a failed one."""
    results, model = evidence.results, criterion.of or evidence.results.model
    tasks = [criterion.task] if criterion.task is not None else _tasks_of(criterion, results)
    if not tasks:
        label = f"{criterion.metric} of {model}"
        against = f" and {criterion.against}" if isinstance(criterion.against, str) else ""
        problem = f"no task was scored with {criterion.metric}{against}"
        return [_missing(label, criterion, problem)]
    return [_judge(criterion, evidence, task, model) for task in tasks]


def _judge(criterion: Criterion, evidence: Evidence, task: str, model: str) -> Judgement:
    part = Part(criterion.horizon, criterion.channel, criterion.where)
    label = _label(criterion, evidence.results, task, part)
    number = evidence.results.value(task, model, criterion.metric)
    if number is None or math.isnan(number):
        return _missing(label, criterion, f"{model} has no {criterion.metric} on {task}")
    try:
        ours = sample(evidence.results, evidence.arrays, task, model, criterion.metric, part)
        if criterion.reproduces is not None:
            return _reproduced(label, criterion.reproduces, number if ours is None else ours.value)
        own = [] if ours is None else [ours]
        if criterion.against == CHAMPION and criterion.of is None and task in evidence.siblings:
            own += evidence.siblings[task](task, criterion.metric, part)
        if criterion.against is None:
            return _bounded(label, criterion, evidence, _alone(own, number, evidence.confidence))
        if isinstance(criterion.against, FrozenReference):
            alone = _alone(own, number, evidence.confidence)
            return _bounded(
                label, criterion, evidence, _frozen(alone, criterion, criterion.against, evidence)
            )
        return _compared(label, criterion, evidence, task, part, own)
    except UPSError as error:  # a part that this task does not have
        return _missing(label, criterion, str(error))


def _compared(
    label: str, criterion: Criterion, evidence: Evidence, task: str, part: Part, own: Sequence[Sample]
) -> Judgement:
    name, results = str(criterion.against), evidence.results
    trained = name in results.weights or name in results.frozen or name == CHAMPION
    if name == CHAMPION:
        if task not in evidence.champion:
            bound = _bounds(criterion, evidence)[2]
            return Judgement(label, None, None, None, bound, True, "no champion yet")
        theirs = list(evidence.champion[task](task, criterion.metric, part))
    else:
        other = sample(results, evidence.arrays, task, name, criterion.metric, part)
        theirs = [] if other is None else [other]
    if not own or not theirs:
        return _missing(
            label, criterion, f"{criterion.metric} of {name} on {task} is not known by trajectory"
        )
    try:
        found = compare(
            own,
            theirs,
            criterion.compare,
            confidence=evidence.confidence,
            seed_spread=evidence.seed_spread,
            trained_reference=trained,
        )
    except ValueError:
        return _missing(label, criterion, f"{name} was scored on other trajectories")
    return _bounded(label, criterion, evidence, found)


def _alone(own: Sequence[Sample], number: float, confidence: float) -> Estimate:
    """The number with its interval; of a metric that keeps no values of trajectories the number alone."""
    return estimate(own, confidence=confidence) if own else Estimate(number, number, number)


def _frozen(
    found: Estimate, criterion: Criterion, reference: FrozenReference, evidence: Evidence
) -> Estimate:
    """An estimate against a frozen number, whose noise and that of our seeds widen the interval."""
    deviations = float(ndtri((1 + evidence.confidence) / 2))
    noise = deviations * math.hypot(reference.std, evidence.seed_spread * found.value)
    low = found.value - math.hypot(found.value - found.low, noise)
    high = found.value + math.hypot(found.high - found.value, noise)
    if criterion.compare == "difference":
        return Estimate(*(end - reference.value for end in (found.value, low, high)))
    if reference.value == 0:
        return Estimate(math.nan, -math.inf, math.inf)
    return Estimate(*(end / reference.value for end in (found.value, low, high)))


def _reproduced(label: str, reference: FrozenReference, value: float) -> Judgement:
    margin = DEVIATIONS * reference.std
    bound = f"within {format_number(margin)} of {format_number(reference.value)}"
    off = (value - reference.value) / reference.std
    passed = abs(off) <= DEVIATIONS
    side = "below its reference: something leaks" if off < 0 else "above its reference: it is a straw man"
    reason = "" if passed else f"{abs(off):.3g} standard deviations {side}"
    return Judgement(label, value, None, None, bound, passed, reason)


def _bounded(label: str, criterion: Criterion, evidence: Evidence, found: Estimate) -> Judgement:
    low, high, bound = _bounds(criterion, evidence)
    holds = (low is None or found.low >= low) and (high is None or found.high <= high)
    passed = holds and math.isfinite(found.value) and found.known
    reason = ""
    if not math.isfinite(found.value):
        reason = "not finite"
    elif not found.known:
        reason = "too few trajectories for an interval"
    elif not passed:
        alone = (low is None or found.value >= low) and (high is None or found.value <= high)
        reason = "within the noise" if alone else "out of bounds"
    return Judgement(label, known(found.value), known(found.low), known(found.high), bound, passed, reason)


def _bounds(criterion: Criterion, evidence: Evidence) -> tuple[float | None, float | None, str]:
    """Lower and upper bound, and both in words."""
    low, high = criterion.min, criterion.max
    if low is None and high is None and criterion.reproduces is None:
        equal = 1.0 if criterion.compare == "ratio" else 0.0
        better_higher = criterion.metric in evidence.results.higher_is_better
        low, high = (equal, None) if better_higher else (None, equal)
    words = [f"at least {low:g}"] if low is not None else []
    words += [f"at most {high:g}"] if high is not None else []
    return low, high, " and ".join(words)


def _missing(label: str, criterion: Criterion, reason: str) -> Judgement:
    words = [f"at least {criterion.min:g}"] if criterion.min is not None else []
    words += [f"at most {criterion.max:g}"] if criterion.max is not None else []
    return Judgement(label, None, None, None, " and ".join(words), False, f"missing: {reason}")


def _label(criterion: Criterion, results: Results, task: str, part: Part) -> str:
    words = f"{criterion.metric} of {task}"
    if str(part):
        words += f" ({part})"
    if criterion.of is not None:
        words += f", {criterion.of}"
    if criterion.against is None:
        return words
    sign = "/" if criterion.compare == "ratio" else "-"
    name = criterion.against if isinstance(criterion.against, str) else "frozen reference"
    return f"{words} {sign} {name}"


def _tasks_of(criterion: Criterion, results: Results) -> list[str]:
    """Tasks on which the reference has the metric (persistence of a steady task does not exist), else
    anything."""
    references = (*results.models, TRUTH)
    if isinstance(criterion.against, str) and criterion.against != CHAMPION:
        references = (criterion.against,)
    return [
        task
        for task in results.tasks
        if any(results.value(task, model, criterion.metric) is not None for model in references)
    ]
