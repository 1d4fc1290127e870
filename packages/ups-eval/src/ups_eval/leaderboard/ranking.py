"""Ranks of a board: models that the test set cannot tell apart share one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ups_eval.bootstrap import SEED_SPREAD, Estimate, Sample, compare, estimate
from ups_eval.leaderboard.entry import Entry
from ups_eval.leaderboard.promotion import seeds


@dataclass(frozen=True)
class Place:
    """One line of a board: an experiment with all its seeds.

    Attributes:
        rank: 1 for the best and all that cannot be told apart from it.
        entry: the newest of the experiment, the champion if it is one.
        seeds: how many there are.
        estimate: the metric, mean over seeds, with an interval over trajectories.
        spread: sample standard deviation over seeds; NaN with one.
    """

    rank: int
    entry: Entry
    seeds: int
    estimate: Estimate
    spread: float


@dataclass(frozen=True)
class Ranking:
    """A board in order.

    Attributes:
        places: the best first.
        resolution: smallest relative difference between neighbours that the test set would resolve, the
            median over pairs of neighbours; NaN without a pair.
    """

    places: list[Place]
    resolution: float


def rank(entries: Sequence[Entry], metric: str = "nrmse", seed_spread: float = SEED_SPREAD) -> Ranking:
    """Rank the entries of one board.

    A model shares the rank of the best one above it from which it cannot be told apart by a paired
    comparison. Models whose metric is not finite come last.

    Args:
        entries: of one board.
        metric: to rank by.
        seed_spread: see :func:`ups_eval.bootstrap.compare`.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if _untrained(entry):  # the same in every run
            groups["", entry.model] = [entry]
        else:
            groups.setdefault((entry.experiment, entry.model), []).append(entry)
    found: list[tuple[Entry, list[Sample]]] = []
    for group in groups.values():
        entry = next((entry for entry in group if entry.champion), group[-1])
        if samples := seeds(entry, group, metric):
            found.append((entry, samples))
    higher = any(metric in entry.results.higher_is_better for entry, _ in found)

    def order(item: tuple[Entry, list[Sample]]) -> float:
        value = float(np.mean([sample.value for sample in item[1]]))
        return math.inf if not math.isfinite(value) else -value if higher else value

    found.sort(key=order)
    places: list[Place] = []
    head: list[Sample] = []
    widths = []
    for number, (entry, samples) in enumerate(found):
        if number:
            neighbours = compare(samples, found[number - 1][1], "ratio", seed_spread=seed_spread)
            if neighbours.known:
                widths.append((neighbours.high - neighbours.low) / 2)
        if not head or _differs(compare(samples, head, "ratio", seed_spread=seed_spread), higher):
            head, current = samples, number + 1
        values = [sample.value for sample in samples]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        places.append(Place(current, entry, len(samples), estimate(samples), spread))
    return Ranking(places, float(np.median(widths)) if widths else math.nan)


def _untrained(entry: Entry) -> bool:
    """Whether a baseline has nothing to train, such as persistence."""
    return entry.baseline and entry.results.parameters.get(entry.model) == 0


def _differs(ratio: Estimate, higher: bool) -> bool:
    """Whether a model is worse than the head of its group; a diverged one always is."""
    if not math.isfinite(ratio.value):
        return True
    return ratio.high < 1 if higher else ratio.low > 1
