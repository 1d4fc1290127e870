"""`ups data check SPEC`: audits the data of a spec's tasks in one pass, without training."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_core.validate import load_spec
from ups_data.cli.split_audit import SplitAudit
from ups_data.prepare.audit import splits_of
from ups_data.prepare.splits import SPLITS, TOLERATED_REPEATS, Splits
from ups_data.stores.base import SplitStores, TrajectoryStore
from ups_data.stores.file_store import FileStore
from ups_data.tasks.base import Task

JUMP = 20
"""Largest change of a frame, relative to the median one, that is not noted."""


def audit_spec(path: Path, overrides: Sequence[str], data_root: Path, console: Console) -> dict[str, Any]:
    """Audit the data of all tasks of a spec.

    Returns:
        `{spec, tasks: {name: {kind, files, splits, repeats, defects, notes}}, defects}`; the last has the
        defects of all tasks.

    Raises:
        SpecError: the spec has mistakes.
    """
    spec, document = load_spec(path, overrides)
    tasks: dict[str, Any] = {}
    with document.redacting():
        for name, component in spec.tasks.items():
            task = component.create(name=name)
            try:
                audit = _audit_task(task, data_root, console) if isinstance(task, Task) else None
            except UPSError as error:
                audit = _empty([str(error)], [])
            kind = {"kind": component.kind}
            tasks[name] = kind | (
                audit or _empty([], ["a task of another package, which is not audited here"])
            )
    defects = [f"{name}: {defect}" for name, audit in tasks.items() for defect in audit["defects"]]
    return {"spec": str(path), "tasks": tasks, "defects": defects}


def _empty(defects: list[str], notes: list[str]) -> dict[str, Any]:
    return {"files": [], "splits": {}, "repeats": None, "defects": defects, "notes": notes}


def _audit_task(task: Task, data_root: Path, console: Console) -> dict[str, Any]:
    root = data_root.expanduser()
    plan = task.plan_data(root)
    if task.provide(plan, console):
        plan = task.plan_data(root)
    stores, info = task.stores(plan, root), task.describe(root)
    splits = splits_of(stores, task.fractions)
    audits = {split: SplitAudit(info) for split in SPLITS}
    hashes: dict[int, set[bytes]] = {}
    defects = []
    total = sum(len(store.groups) for store in stores.distinct())
    with console.progress(f"checking {task.name}", total) as advance:
        for store in stores.distinct():
            sharing = [split for split in SPLITS if stores.of(split) is store]
            try:
                for chunk in store.chunks():
                    groups = store.groups[chunk.part]
                    starts = chunk.frames[:, 0] if info.kind == "evolution" else chunk.static
                    for group, start in zip(groups.tolist(), starts, strict=True):
                        hashes.setdefault(group, set()).add(sha256(start.tobytes()).digest())
                    for split in sharing:
                        chosen = np.isin(groups, splits[split])
                        if chosen.any():
                            numbers = np.arange(chunk.part.start, chunk.part.stop)[chosen]
                            audits[split].add(numbers, chunk.frames[chosen], chunk.static[chosen])
                    advance(len(groups))
            except UPSError as error:  # NaN or infinity: no more of this store is read
                defects.append(f"{error}{_how_many(store)}")
    repeats = _repeats(splits, hashes)
    found: dict[str, Any] = {
        split: audits[split].to_dict(_parameters(stores, splits, split))
        | {"frames": stores.of(split).info.frames, "size": stores.count(split, splits[split])}
        for split in SPLITS
    }
    defects += _defects(found, repeats, sum(len(splits[split]) for split in SPLITS))
    return {
        "files": [str(path) for path in plan.files],
        "splits": found,
        "repeats": repeats,
        "defects": defects,
        "notes": [*([plan.note] if plan.note else []), *_notes(found)],
    }


def _how_many(store: TrajectoryStore) -> str:
    """How many values of the files of a store are NaN or infinite; "" if that is not known."""
    inner = getattr(store, "store", store)  # a part of the time has the store of all of it
    if not isinstance(inner, FileStore):
        return ""
    values = trajectories = 0
    for part in inner.parts:
        head = part.file.head
        for row in range(head.trajectories):
            bad = ~np.isfinite(part.file.frames(slice(row, row + 1), slice(0, head.frames)))
            values, trajectories = values + int(bad.sum()), trajectories + bool(bad.any())
    return f" ({values} values in {trajectories} trajectories are NaN or infinite)" if values else ""


def _repeats(splits: Splits, hashes: dict[int, set[bytes]]) -> int:
    """How many groups start like an earlier one of another split."""
    home = {number: split for split in SPLITS for number in splits[split]}
    first: dict[bytes, str] = {}
    return sum(
        any([first.setdefault(start, home[number]) != home[number] for start in hashes.get(number, ())])
        for number in sorted(home)
    )


def _parameters(stores: SplitStores, splits: Splits, split: str) -> NDArray[np.float64]:
    store: TrajectoryStore = stores.of(split)
    return store.parameters[np.isin(store.groups, splits[split])]


def _defects(found: dict[str, Any], repeats: int, total: int) -> list[str]:
    defects = [f"the {split} split is empty" for split in SPLITS if not found[split]["size"]]
    if repeats > TOLERATED_REPEATS * total:
        defects.append(
            f"{repeats} of {total} trajectories start like one of another split; remove the repeats"
        )
    names = found["train"]["channels"]
    constant = [name for name in names if names[name]["constant"]]
    return [*defects, *(f"channel '{name}' is constant in the train split" for name in constant)]


def _notes(found: dict[str, Any]) -> list[str]:
    """Findings that are not defects but explain odd results."""
    notes = [
        f"{split}: a frame changes {jump['of_median']:.0f} times as much as the median one ({jump['at']})"
        for split in SPLITS
        if (jump := found[split]["largest_jump"]) and jump["of_median"] > JUMP
    ]
    train, test = found["train"]["parameters"], found["test"]["parameters"]
    for name in set(train) & set(test):
        (low, high), (least, most) = train[name], test[name]
        if least < low or most > high:
            ranges = f"{least:g} to {most:g}, leaves that of train, {low:g} to {high:g}"
            notes.append(f"the range of parameter '{name}' of test, {ranges}")
    return notes
