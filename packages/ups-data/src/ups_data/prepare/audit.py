"""The one pass over a task's data before training: splits, repeats, NaN, statistics.

The result is stored as `<data_root>/audits/<fingerprint>.json`, so that opening the data again is quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ups_core import DataPlan, UPSError
from ups_core.console import Console
from ups_core.reading import UnsoundFile
from ups_core.sealed import read_sealed, write_sealed
from ups_data.info import TaskInfo
from ups_data.prepare.integrity import checked_sums, place_of_audit
from ups_data.prepare.invariants import InvariantCheck
from ups_data.prepare.splits import SPLITS, Splits, audit_splits, exclude_repeats, make_splits
from ups_data.prepare.statistics import ChannelStatistics, FieldMean, Moments, Statistics
from ups_data.prepare.symmetries import SymmetryCheck
from ups_data.stores.pdebench import Request
from ups_data.stores.pdebench_store import Fields

SCHEMA = 2
"""Of the record; since 2 it has mean fields and checksums, its own and those of the files."""


@dataclass(frozen=True)
class Audit:
    """Audited splits, the statistics of the training split, and the SHA-256 of every file."""

    splits: Splits
    statistics: Statistics
    sums: tuple[str, ...]


def audit_data(
    info: TaskInfo,
    request: Request,
    fractions: Mapping[str, float],
    plan: DataPlan,
    data_root: Path,
    console: Console,
) -> Audit:
    """The audit of a task's data, from its record or by reading all files once.

    Args:
        info: the problem.
        request: the data that the task needs.
        fractions: split -> share of the trajectories.
        plan: the files, none of them missing.
        data_root: holds the folder of records.
        console: reports progress and findings.

    Raises:
        UPSError: the data are broken or do not match their checksums, or too many trajectories repeat across
            splits.
    """
    sums = checked_sums(plan, info.name, console)
    path = place_of_audit(data_root, plan.fingerprint)
    splits = make_splits(request.trajectories, fractions)
    if os.path.lexists(path):
        try:
            return _from_record(path, splits, plan.fingerprint, sums)
        except UnsoundFile as error:
            console.say(f"{error}; the data are audited again", "yellow")
    fields = Fields(request, plan.files)
    splits = _without_repeats(fields, splits, info, console)
    audit = Audit(splits, _statistics(fields, splits, info, console), sums)
    try:
        write_sealed(path, _to_record(plan, audit))
    except OSError as error:
        # A read-only data root is legitimate (a shared disk); it only costs a second pass.
        console.say(f"{info.name}: cannot store the audit ({error.strerror}); opening the data repeats it")
    return audit


def _to_record(plan: DataPlan, audit: Audit) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "fingerprint": plan.fingerprint,
        "files": [path.name for path in plan.files],
        "sums": list(audit.sums),
        "splits": audit.splits.to_dict(),
        "statistics": audit.statistics.to_dict(),
    }


def _from_record(path: Path, wanted: Splits, fingerprint: str, sums: tuple[str, ...]) -> Audit:
    record = read_sealed(path)
    try:
        splits, statistics = Splits.from_dict(record["splits"]), Statistics.from_dict(record["statistics"])
        stored = (record["schema"], record["fingerprint"], tuple(record["sums"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnsoundFile(path, "is not the record of an audit") from None
    expected = {
        split: tuple(number for number in wanted[split] if number not in splits.excluded) for split in SPLITS
    }
    if stored != (SCHEMA, fingerprint, sums) or any(splits[split] != ids for split, ids in expected.items()):
        raise UnsoundFile(path, "is about other data or other splits than those of the task")
    return Audit(splits, statistics, sums)


def _without_repeats(fields: Fields, splits: Splits, info: TaskInfo, console: Console) -> Splits:
    count = fields.request.trajectories
    hashes = [[b""] * count for _ in fields.files]
    with console.progress(f"auditing {info.name}", count * len(fields.files)) as advance:
        for file, part, solution, coefficient in fields.chunks():
            given = solution[:, 0] if coefficient is None else coefficient
            # Hashes instead of the fields: a data set larger than memory can be audited.
            hashes[file][part] = [sha256(first.tobytes()).digest() for first in given]
            advance(len(given))
    try:
        splits = exclude_repeats(splits, hashes)
    except UPSError as error:
        raise UPSError(f"{_named(fields)}: {error}") from error
    audit_splits(splits, count)
    if splits.excluded:
        console.say(
            f"{info.name}: excluded {len(splits.excluded)} of {count} trajectories, "
            "which repeat one of another split"
        )
    return splits


def _statistics(fields: Fields, splits: Splits, info: TaskInfo, console: Console) -> Statistics:
    # A second pass over the files, because the first one may exclude training trajectories.
    training = np.zeros(fields.request.trajectories, dtype=bool)
    training[list(splits.train)] = True
    evolves = info.kind == "evolution"
    solutions, coefficients, differences = Moments(), Moments(), Moments()
    invariants, symmetries, mean_field = InvariantCheck(info), SymmetryCheck(info), FieldMean()
    for file, part, solution, coefficient in fields.chunks():
        solution = solution[training[part]]
        solutions.add(solution)
        if evolves:
            differences.add(np.diff(solution, axis=1))
            invariants.add(solution)
        else:
            mean_field.add(solution[:, 0])
        given = None if coefficient is None else coefficient[training[part]]
        if given is not None:
            coefficients.add(given)
        symmetries.add(file, solution, given)
    named = {"solution": solutions, "coefficient": coefficients, "difference of frames": differences}
    constant = [what for what, moments in named.items() if moments.count and moments.constant]
    if constant:
        console.say(f"{info.name}: constant {' and '.join(constant)}; standard deviation set to 1", "yellow")
    try:
        invariants.check(solutions, console)
    except UPSError as error:
        raise UPSError(f"{_named(fields)}: {error}") from error
    symmetries.check(console)
    target = solutions.statistics()
    return Statistics(
        state=target if evolves else ChannelStatistics(),
        static=coefficients.statistics(),
        target=target,
        delta=(differences.scale,) if evolves else (),
        mean_field=mean_field.values(),
    )


def _named(fields: Fields) -> str:
    """The first file and the number of others, for messages."""
    more = f" and {len(fields.files) - 1} more" if len(fields.files) > 1 else ""
    return f"{fields.files[0].path}{more}"
