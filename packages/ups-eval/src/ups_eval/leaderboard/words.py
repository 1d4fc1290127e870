"""Boards and entries in words, for the terminal and the page."""

from __future__ import annotations

from ups_eval.leaderboard.entry import Entry
from ups_eval.leaderboard.ranking import Ranking


def board_title(entry: Entry) -> str:
    """What a board compares, in words."""
    count = len(entry.results.trajectories[entry.task])
    limited = f", the first {entry.limit}" if entry.limit else ""
    return f"{entry.task}: {count} {entry.split} trajectories{limited}, data {entry.data[:8]}"


def resolution_text(ranking: Ranking) -> str:
    """The smallest difference that the trajectories resolve."""
    if not ranking.resolution > 0:
        return ""
    return f"differences below about {100 * ranking.resolution:.2g} % are not resolved by these trajectories"


def gates_text(entry: Entry) -> str:
    """`passed`, `failed`, or nothing for a baseline and a run without gates."""
    return "" if entry.gates is None or entry.baseline else "passed" if entry.gates else "failed"
