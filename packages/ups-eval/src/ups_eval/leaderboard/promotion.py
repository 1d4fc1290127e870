"""Whether a candidate becomes the champion of a board."""

from __future__ import annotations

from collections.abc import Sequence

from ups_core.step import Verdict
from ups_eval.bootstrap import Sample, compare
from ups_eval.breakdown import EVERYTHING, Part
from ups_eval.leaderboard.entry import Entry
from ups_eval.tables import format_number, metric_label


def judge(
    candidate: Entry, champion: Entry | None, entries: Sequence[Entry], metric: str, seed_spread: float
) -> Verdict:
    """Whether the candidate is better than the champion by more than the noise of trajectories and seeds.

    Args:
        candidate: stored on the board.
        champion: of the board, None if there is none, or only the candidate itself.
        entries: of the board; those of the same experiments are further seeds.
        metric: that decides.
        seed_spread: see :func:`ups_eval.bootstrap.compare`.
    """
    if candidate.gates is False:
        return Verdict(False, "a gate did not pass")
    if champion is None:
        return Verdict(True, "the first champion of its board")
    ours, theirs = (seeds(entry, entries, metric) for entry in (candidate, champion))
    if not ours or not theirs:
        return Verdict(False, f"{metric_label(metric)} is not known of both")
    found = compare(ours, theirs, "ratio", seed_spread=seed_spread)
    higher = metric in candidate.results.higher_is_better
    passed = found.low > 1 if higher else found.high < 1
    against = f"{champion.model} of {champion.run}"
    interval = f"{format_number(found.low)} to {format_number(found.high)}" if found.known else "no interval"
    text = f"{metric_label(metric)} ×{format_number(found.value)} ({interval}) against {against}"
    return Verdict(passed, text if passed else f"{text}: not better by more than the noise")


def seeds(entry: Entry, entries: Sequence[Entry], metric: str, part: Part = EVERYTHING) -> list[Sample]:
    """Samples of an entry and of the other seeds of its experiment, on the same trajectories."""
    mine = entry.sample(metric, part)
    if mine is None:
        return []
    others = [
        other.sample(metric, part)
        for other in entries
        if (other.experiment, other.model, other.board) == (entry.experiment, entry.model, entry.board)
        and other.seed != entry.seed
    ]
    return [mine, *(one for one in others if one is not None and one.trajectories == mine.trajectories)]
