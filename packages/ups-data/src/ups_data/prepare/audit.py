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
from ups_data.prepare.splits import SPLITS, RepeatsError, Splits, audit_splits, divide, exclude_repeats
from ups_data.prepare.statistics import ChannelStatistics, FieldMean, Moments, Statistics, statistics_of
from ups_data.prepare.symmetries import SymmetryCheck
from ups_data.stores.base import SplitStores, TrajectoryStore

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
    stores: SplitStores,
    fractions: Mapping[str, float],
    plan: DataPlan,
    data_root: Path,
    console: Console,
) -> Audit:
    """The audit of a task's data, from its record or by reading all files once.

    Args:
        info: the problem.
        stores: the data.
        fractions: split -> share of the groups of trajectories, where splits have one store.
        plan: the files, none of them missing.
        data_root: holds the folder of records.
        console: reports progress and findings.

    Raises:
        UPSError: the data are broken or do not match their checksums, or too many trajectories repeat across
            splits.
    """
    sums = checked_sums(plan, info.name, console)
    path = place_of_audit(data_root, plan.fingerprint)
    splits = splits_of(stores, fractions)
    if os.path.lexists(path):
        try:
            return _from_record(path, splits, plan.fingerprint, sums)
        except UnsoundFile as error:
            console.say(f"{error}; the data are audited again", "yellow")
    splits = _without_repeats(stores, splits, info, console)
    audit = Audit(splits, _statistics(stores.train, splits, info, console), sums)
    try:
        write_sealed(path, _to_record(plan, audit))
    except OSError as error:
        # A read-only data root is legitimate (a shared disk); it only costs a second pass.
        console.say(f"{info.name}: cannot store the audit ({error.strerror}); opening the data repeats it")
    return audit


def splits_of(stores: SplitStores, fractions: Mapping[str, float]) -> Splits:
    """The splits before repeats are excluded: splits that have one store share its groups."""
    divided: dict[str, tuple[int, ...]] = {}
    for store in stores.distinct():
        sharing = [split for split in SPLITS if stores.of(split) is store]
        groups = tuple(np.unique(store.groups).tolist())
        if len(sharing) == 1:
            divided[sharing[0]] = groups
        else:
            divided |= divide(groups, {split: fractions[split] for split in sharing})
    return Splits(divided["train"], divided["val"], divided["test"])


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


def _without_repeats(stores: SplitStores, splits: Splits, info: TaskInfo, console: Console) -> Splits:
    distinct = stores.distinct()
    count = max(int(store.groups.max()) for store in distinct) + 1
    hashes: list[list[bytes]] = [[] for _ in range(count)]
    with console.progress(f"auditing {info.name}", sum(len(store.groups) for store in distinct)) as advance:
        for store in distinct:
            for chunk in store.chunks():
                states = chunk.frames[:, 0, : len(info.target_channels)]
                given = states if info.kind == "evolution" else chunk.static
                for group, first in zip(store.groups[chunk.part], given, strict=True):
                    # Hashes instead of the fields: a data set larger than memory can be audited.
                    hashes[group].append(sha256(first.tobytes()).digest())
                advance(len(given))
    try:
        splits = exclude_repeats(splits, hashes)
    except RepeatsError as error:
        raise RepeatsError(f"{stores.train.place}: {error}") from error
    audit_splits(splits, count)
    if splits.excluded:
        console.say(
            f"{info.name}: excluded {len(splits.excluded)} of {count} trajectories, "
            "which repeat one of another split"
        )
    return splits


def _statistics(store: TrajectoryStore, splits: Splits, info: TaskInfo, console: Console) -> Statistics:
    # A second pass over the files, because the first one may exclude training trajectories.
    training = np.isin(store.groups, splits.train)
    evolves = info.kind == "evolution"
    channels = len(info.target_channels)
    solutions = [Moments() for _ in range(channels)]
    differences = [Moments() for _ in range(channels)]
    coefficients = [Moments() for _ in info.static_channels]
    forcings = [Moments() for _ in info.forcing_channels]
    invariants, symmetries, mean_field = InvariantCheck(info), SymmetryCheck(info), FieldMean()
    for chunk in store.chunks():
        chosen = training[chunk.part]
        every, static = chunk.frames[chosen], chunk.static[chosen]
        frames = every[:, :, :channels]
        for channel, moments in enumerate(solutions):
            moments.add(frames[:, :, channel])
        for channel, moments in enumerate(coefficients):
            moments.add(static[:, channel])
        for channel, moments in enumerate(forcings):
            moments.add(every[:, :, channels + channel])
        if evolves:
            for channel, moments in enumerate(differences):
                moments.add(np.diff(frames[:, :, channel], axis=1))
            invariants.add(frames)
        else:
            mean_field.add(frames[:, 0])
        symmetries.add(store.parameters[chunk.part][chosen], frames, static)
    _report_constants(info, solutions, coefficients, differences if evolves else [], console)
    try:
        invariants.check(solutions, console)
    except UPSError as error:
        raise UPSError(f"{store.place}: {error}") from error
    symmetries.check(console)
    target = statistics_of(solutions)
    return Statistics(
        state=target if evolves else ChannelStatistics(),
        static=statistics_of(coefficients),
        forcing=statistics_of(forcings),
        target=target,
        delta=tuple(moments.scale for moments in differences) if evolves else (),
        mean_field=mean_field.values(),
    )


def _report_constants(
    info: TaskInfo,
    solutions: list[Moments],
    coefficients: list[Moments],
    differences: list[Moments],
    console: Console,
) -> None:
    kinds = {
        "solution": (info.target_channels, solutions),
        "coefficient": (info.static_channels, coefficients),
        "difference of frames": (info.target_channels, differences),
    }
    constant = [
        what if len(channels) == 1 else f"{what} of '{channel.name}'"
        for what, (channels, all_moments) in kinds.items()
        for channel, moments in zip(channels, all_moments, strict=False)
        if moments.constant
    ]
    if constant:
        console.say(f"{info.name}: constant {' and '.join(constant)}; standard deviation set to 1", "yellow")
