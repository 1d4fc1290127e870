"""The one pass over a task's data before anything is trained: splits, repeats, NaN, statistics.

Its result is stored as `<data_root>/audits/<fingerprint>.json`, so that opening the data again is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ups_core import DataPlan, UPSError
from ups_core.console import Console
from ups_core.files import read_json, write_json
from ups_data.prepare.splits import SPLITS, Splits, audit_splits, exclude_repeats, make_splits
from ups_data.prepare.statistics import ChannelStatistics, Moments, Statistics
from ups_data.stores.pdebench_store import Fields

if TYPE_CHECKING:
    from ups_data.tasks.base import Task

SCHEMA = 1


@dataclass(frozen=True)
class Audit:
    """Splits that were found sound, and the statistics of the training split."""

    splits: Splits
    statistics: Statistics


def audit_task(task: Task, plan: DataPlan, data_root: Path, console: Console) -> Audit:
    """The task's audit, from its record or by reading the data once.

    Raises:
        UPSError: the data are broken, the splits unsound, or the record contradicts the task.
    """
    path = data_root / "audits" / f"{plan.fingerprint}.json"
    splits = make_splits(task.config.trajectories, task.config.split.model_dump())
    record = read_json(path)
    if isinstance(record, Mapping) and record.get("schema") == SCHEMA:
        return _from_record(record, splits, plan.fingerprint, path)
    fields = Fields(task.request, plan.files)
    audit = _read_everything(fields, splits, task.info.kind == "evolution", task.name, console)
    try:
        write_json(path, _to_record(plan, audit))
    except OSError as error:
        console.say(f"the audit of {task.name} is not stored ({error.strerror}); opening will repeat it")
    return audit


def _to_record(plan: DataPlan, audit: Audit) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "fingerprint": plan.fingerprint,
        "files": [path.name for path in plan.files],
        "splits": audit.splits.to_dict(),
        "statistics": audit.statistics.to_dict(),
    }


def _from_record(record: Mapping[str, Any], wanted: Splits, fingerprint: str, path: Path) -> Audit:
    try:
        splits, statistics = Splits.from_dict(record["splits"]), Statistics.from_dict(record["statistics"])
        stored = record["fingerprint"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UPSError(f"{path} is damaged; delete it to audit again") from None
    expected = (
        tuple(number for number in wanted[split] if number not in splits.excluded) for split in SPLITS
    )
    if stored != fingerprint or any(
        splits[split] != ids for split, ids in zip(SPLITS, expected, strict=True)
    ):
        raise UPSError(f"{path} holds other splits than the task asks for; delete it to audit again")
    return Audit(splits, statistics)


def _read_everything(fields: Fields, splits: Splits, evolves: bool, name: str, console: Console) -> Audit:
    count = fields.request.trajectories
    hashes = [[b""] * count for _ in fields.files]
    with console.progress(f"auditing {name}", count * len(fields.files)) as advance:
        for file, part, solution, coefficient in fields.chunks():
            given = solution[:, 0] if coefficient is None else coefficient
            hashes[file][part] = [sha256(first.tobytes()).digest() for first in given]
            advance(len(given))
    try:
        splits = exclude_repeats(splits, hashes)
    except UPSError as error:
        more = f" and {len(hashes) - 1} more" if len(hashes) > 1 else ""
        raise UPSError(f"{fields.files[0].path}{more}: {error}") from error
    audit_splits(splits, count)
    if splits.excluded:
        console.say(f"{name}: {len(splits.excluded)} trajectories repeat one of another split; left out")
    return Audit(splits, _statistics(fields, splits, evolves, name, console))


def _statistics(fields: Fields, splits: Splits, evolves: bool, name: str, console: Console) -> Statistics:
    training = np.zeros(fields.request.trajectories, dtype=bool)
    training[list(splits.train)] = True
    solutions, coefficients, differences = Moments(), Moments(), Moments()
    for _, part, solution, coefficient in fields.chunks():
        solution = solution[training[part]]
        solutions.add(solution)
        if evolves:
            differences.add(np.diff(solution, axis=1))
        if coefficient is not None:
            coefficients.add(coefficient[training[part]])
    named = {"solution": solutions, "coefficient": coefficients, "difference of frames": differences}
    constant = [what for what, moments in named.items() if moments.count and moments.constant]
    if constant:
        console.say(f"{name}: constant {' and '.join(constant)}; standard deviation set to 1", "yellow")
    target = solutions.statistics()
    return Statistics(
        state=target if evolves else ChannelStatistics(),
        static=coefficients.statistics(),
        target=target,
        delta=(differences.scale,) if evolves else (),
    )
