"""Reuses finished steps of the previous run after the spec has changed: those with the same fingerprint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ups_core.document import KeyPath, dotted
from ups_core.layout import is_done
from ups_core.plan import Plan, PreviousRun
from ups_core.record import resolved_yaml

MAX_CHANGES = 20
"""Maximum number of changes that are listed one by one."""


def reuse_previous(plan: Plan, runs_dir: Path) -> Plan:
    """The plan, compared with the newest other run of this name; steps that are done there become `kept`.

    A step is done there if its fingerprint is the same: its options, data, code and all it builds on.
    """
    others = [
        path.parent
        for path in runs_dir.glob(f"{plan.spec.name}-*/run.json")
        if path.parent.resolve() != plan.directory.resolve()
    ]
    for directory in sorted(others, key=lambda other: (other / "run.json").stat().st_mtime, reverse=True):
        stored = _read(directory / "spec.yaml")
        # The pattern also matches names that begin with this one and a dash.
        if stored is not None and stored.get("name") == plan.spec.name:
            break
    else:
        return plan
    steps = tuple(
        replace(step, state="kept")
        if step.state == "to do" and is_done(directory, step.id, step.fingerprint)
        else step
        for step in plan.steps
    )
    changes = tuple(_changes(_flat(stored), _flat(yaml.safe_load(resolved_yaml(plan)))))
    return replace(plan, steps=steps, previous=PreviousRun(directory, changes))


def describe_changes(plan: Plan) -> Iterator[str]:
    """What differs from the previous run, and what that means, as lines for users."""
    if plan.previous is None:
        return
    yield f"compared with {plan.previous.directory}:"
    changes = plan.previous.changes or ("nothing in the spec",)
    yield from (f"  {change}" for change in changes[:MAX_CHANGES])
    if len(changes) > MAX_CHANGES:
        yield f"  and {len(changes) - MAX_CHANGES} more"
    for what, states in (("kept", ("done", "kept")), ("to be done", ("to do", "stale", "interrupted"))):
        names = [step.id for step in plan.steps if step.state in states]
        if names:
            yield f"  {what}: {', '.join(names)}"


def copy_finished(source: Path, target: Path) -> None:
    """Copy a finished step's directory: as hard links where the file system has them.

    Nothing writes into a finished step, so two runs may share its files.
    """
    # Under another name until it is complete: a finished step is recognised by its directory.
    temporary = target.with_name(f".{target.name}.copy")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary, copy_function=_link)
    temporary.rename(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _read(path: Path) -> dict[str, Any] | None:
    """A resolved spec, its references to the environment unresolved."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def _flat(value: Any, path: KeyPath = ()) -> Mapping[str, Any]:
    return dict(_leaves(value, path))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[str, Any]]:
    """Every scalar with its dotted path, entries of the pipeline by their id."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            name = item.get("id") if isinstance(item, dict) else None
            yield from _leaves(item, (*path, name or index))
    else:
        yield dotted(path), value


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*before, *after}):
        old, new = (_text(values, key) for values in (before, after))
        if old != new:
            yield f"{key}: {old} -> {new}"


def _text(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "(absent)"
