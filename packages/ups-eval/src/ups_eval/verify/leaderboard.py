"""Whether the numbers of a leaderboard follow from the values of trajectories that it stores."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ups_eval.leaderboard.entry import Entry
from ups_eval.leaderboard.store import Leaderboard
from ups_eval.trajectory_statistics import reduce_values, trajectory_means
from ups_eval.verify.finding import Finding

SAME = 1e-9


def verify_leaderboard(path: Path) -> Iterator[Finding]:
    """The database itself, then every entry.

    Raises:
        UPSError: the file is not a leaderboard of this version, or an entry cannot be read.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            (state,) = connection.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError as error:
            state = str(error)
    yield Finding(path.name, "ok" if state == "ok" else "MISMATCH", f"integrity check of SQLite: {state}")
    if state != "ok":
        return
    entries = Leaderboard(path).entries()
    wrong = [(entry, problem) for entry in entries if (problem := _problem(entry))]
    for entry, problem in wrong:
        yield Finding(f"entry {entry.number}", "MISMATCH", problem)
    yield Finding("entries", "ok", f"numbers of {len(entries) - len(wrong)} follow from their trajectories")


def _problem(entry: Entry) -> str:
    """What does not follow; "" if all does."""
    results, task, model = entry.results, entry.task, entry.model
    for metric, name in results.values[task][model].items():
        number, again = (
            results.value(task, model, metric),
            reduce_values(entry.arrays[name], results.reductions[metric]),
        )
        if number is None or not _same(number, again):
            return f"{metric} of {model} on {task} is {number!r}, but {again!r} follows"
    errors = trajectory_means(entry.arrays[results.errors[task][model]])
    noted = results.per_sample[task][model]
    if len(errors) != len(noted) or not all(map(_same, noted, errors)):
        return f"errors of trajectories of {model} on {task} do not follow from those of frames"
    return ""


def _same(one: float, other: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return not math.isfinite(one) and not math.isfinite(other)
    return math.isclose(one, other, rel_tol=SAME, abs_tol=1e-300)
