"""How much better or worse one arm is than another, and whether that exceeds the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ups_eval.bootstrap import CONFIDENCE, SEED_SPREAD, Estimate, compare
from ups_eval.compare.arms import Arm


@dataclass(frozen=True)
class Difference:
    """The model of an arm against that of the reference, as a ratio: below one is a smaller number.

    Attributes:
        arm: label.
        task: name.
        trajectories: with an interval over trajectories, for these trained models.
        seeds: with an interval over seeds (Welch's t on logarithms); none without two seeds on both sides.
        together: with an interval over both, which decides.
        verdict: `better`, `worse` or `within the noise`.
    """

    arm: str
    task: str
    trajectories: Estimate
    seeds: Estimate
    together: Estimate
    verdict: str


def differences(reference: Arm, arm: Arm, metric: str = "nrmse") -> list[Difference]:
    """One per task that both scored on the same trajectories."""
    found = []
    higher = metric in reference.scored[0].results.higher_is_better
    for task in reference.scored[0].results.tasks:
        ours, theirs = arm.samples(task, metric=metric), reference.samples(task, metric=metric)
        if not ours or not theirs or len({one.trajectories for one in (*ours, *theirs)}) > 1:
            continue
        together = compare(ours, theirs, seed_spread=SEED_SPREAD)
        seeds = _over_seeds([one.value for one in ours], [one.value for one in theirs])
        alone = compare(ours, theirs, seed_spread=None)
        found.append(Difference(arm.label, task, alone, seeds, together, _verdict(together, higher)))
    return found


def _over_seeds(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Ratio of geometric means with Welch's interval."""
    unknown = Estimate(float(np.mean(ours) / np.mean(theirs)), -math.inf, math.inf)
    if min(len(ours), len(theirs)) < 2 or min(*ours, *theirs) <= 0 or not np.isfinite([*ours, *theirs]).all():
        return unknown
    logs = np.log(ours), np.log(theirs)
    parts = [float(np.var(one, ddof=1)) / len(one) for one in logs]
    center, error = float(logs[0].mean() - logs[1].mean()), math.sqrt(sum(parts))
    if error == 0:
        return Estimate(math.exp(center), math.exp(center), math.exp(center))
    freedom = sum(parts) ** 2 / sum(part**2 / (len(one) - 1) for part, one in zip(parts, logs, strict=True))
    margin = -float(stdtrit(freedom, (1 - CONFIDENCE) / 2)) * error
    return Estimate(math.exp(center), math.exp(center - margin), math.exp(center + margin))


def _verdict(ratio: Estimate, higher: bool) -> str:
    if ratio.high < 1:
        return "worse" if higher else "better"
    if ratio.low > 1:
        return "better" if higher else "worse"
    return "within the noise"
