"""Reuses finished steps of the previous run after the spec has changed: those with the same fingerprint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ups_core.errors import UPSError
from ups_core.files import sync_directory
from ups_core.finished_step import FinishedStep, write_finished
from ups_core.layout import clear, step_directory
from ups_core.plan import FINISHED, Plan, PlannedStep, PreviousRun
from ups_core.reading import open_regular
from ups_core.record import resolved_yaml
from ups_core.spec_changes import changes, flat, read_resolved
from ups_core.step_state import state_of
from ups_core.yamlreader import Unresolved, parse_yaml

MAX_CHANGES = 20
"""Maximum number of changes that are listed one by one."""


def reuse_previous(plan: Plan, runs_dir: Path, accept_others: bool = False) -> Plan:
    """The plan, compared with the newest other run of this name; steps that are done there become `kept`.

    A step is done there if its fingerprint is the same: its options, data, code and all it builds on.

    Args:
        accept_others: whether steps whose files belong to other users are kept, too.
    """
    others = [
        path.parent
        for path in runs_dir.glob(f"{plan.spec.name}-*/run.json")
        if path.parent.resolve() != plan.directory.resolve()
    ]
    for directory in sorted(others, key=lambda other: (other / "run.json").lstat().st_mtime, reverse=True):
        stored = read_resolved(directory / "spec.yaml")
        # The pattern also matches names that begin with this one and a dash.
        if stored is not None and stored.get("name") == plan.spec.name:
            break
    else:
        return plan
    steps = tuple(
        _kept(step, directory, accept_others) if step.state == "to do" else step for step in plan.steps
    )
    current = parse_yaml(resolved_yaml(plan), "spec.yaml", Unresolved()).data
    differences = tuple(changes(flat(stored), flat(current)))
    return replace(plan, steps=steps, previous=PreviousRun(directory, differences))


def _kept(step: PlannedStep, directory: Path, accept_others: bool) -> PlannedStep:
    """The step, kept if this directory has it; otherwise with what is wrong there."""
    state, problem = state_of(directory, step.id, step.fingerprint, accept_others)
    return replace(step, state="kept") if state == "done" else replace(step, problem=problem)


def describe_changes(plan: Plan) -> Iterator[str]:
    """What differs from the previous run, and what that means, as lines for users."""
    if plan.previous is None:
        return
    yield f"compared with {plan.previous.directory}:"
    changes = plan.previous.changes or ("nothing in the spec",)
    yield from (f"  {change}" for change in changes[:MAX_CHANGES])
    if len(changes) > MAX_CHANGES:
        yield f"  and {len(changes) - MAX_CHANGES} more"
    for what, finished in (("kept", True), ("to be done", False)):
        names = [step.id for step in plan.steps if (step.state in FINISHED) == finished]
        if names:
            yield f"  {what}: {', '.join(names)}"
    for step in plan.steps:
        if step.problem and step.state == "to do":
            yield f"  not kept: {step.id} ({step.problem})"


def copy_finished(source: Path, step_id: str, target: Path) -> None:
    """Copy a finished step of a run directory to another one: as hard links where the file system has them.

    Nothing writes into a finished step, so two runs may share its files; what another user owns is copied,
    because that user may change it. The record says where the step came from.

    Raises:
        UPSError: a file is not the one that was written, or cannot be copied.
    """
    found = FinishedStep.read(source, step_id)
    # Under another name until it is complete: a finished step is recognised by its directory.
    temporary = step_directory(target, f".{step_id}.copy")
    clear(temporary)
    try:
        for name in found.record.files:
            place = temporary / name
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy(found.file(name), place)
    except OSError as error:
        raise UPSError(
            f"cannot copy step '{step_id}' of {source} to {temporary} ({error.strerror}); free some disk "
            "space and rerun the same command"
        ) from None
    content = found.record.model_dump(mode="json", by_alias=True, exclude={"files"})
    write_finished(temporary, content | {"kept_from": content["kept_from"] or str(source)})
    temporary.rename(step_directory(target, step_id))
    sync_directory(step_directory(target, step_id).parent)


def _copy(source: Path, target: Path) -> None:
    try:
        if source.lstat().st_uid == os.geteuid():
            os.link(source, target, follow_symlinks=False)
            return
    except OSError:
        pass
    with open_regular(source) as original, target.open("xb") as copy:
        shutil.copyfileobj(original, copy)
