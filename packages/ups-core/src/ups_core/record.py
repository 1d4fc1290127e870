"""The record of a run: `run.json`, `events.jsonl` and the resolved `spec.yaml`.

Together they answer what was run, on which data, with which numbers, and how to get it again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ups_core.console import Console
from ups_core.document import KeyPath
from ups_core.environment import devices, environment
from ups_core.files import open_own, write_text
from ups_core.finished_step import FinishedStep
from ups_core.layout import clear
from ups_core.plan import Plan, PlannedStep
from ups_core.reading import UnsoundFile, read_json, read_text
from ups_core.redaction import redacted_data
from ups_core.run_file import RUN, SPEC, check_spec
from ups_core.scalars import resolve_scalar
from ups_core.sealed import read_sealed, write_sealed

DETAILS = "details.json"
"""In a step's directory: how it ran (device, strategy, measured speed-ups…)."""


def now() -> str:
    """The current time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunRecord:
    """Keeps `run.json` and `events.jsonl` of one run directory up to date.

    `statuses` holds what is not on disk yet: step id -> `running`, `failed` or `interrupted`.
    """

    def __init__(self, plan: Plan, command: Sequence[str]) -> None:
        self.plan = plan
        self.path = plan.directory / RUN
        previous = _previous(self.path)
        self.content: dict[str, Any] = {
            "schema": 1,
            "name": plan.spec.name,
            "fingerprint": plan.fingerprint,
            "spec": hashlib.sha256(resolved_yaml(plan).encode()).hexdigest(),
            "status": "running",
            "started": now(),
            "finished": None,
            "seconds": 0.0,
            "command": list(command),
            "environment": environment(),
            "data": previous.get("data", {}),
            "steps": [],
            "metrics": {},
        }
        self.begun = datetime.now(UTC)
        self.statuses: dict[str, str] = {}

    def event(self, what: str, **details: Any) -> None:
        """Append one line to `events.jsonl`."""
        shown = redacted_data(details, self.plan.document.environment)
        line = json.dumps({"time": now(), "event": what, **shown})
        with open_own(self.plan.directory / "events.jsonl", "a") as file:
            file.write(line + "\n")

    def save(self, status: str) -> None:
        """Write `run.json` with this status of the run."""
        self.content["status"] = status
        self.content["steps"] = [self._step(step) for step in self.plan.steps]
        completed = [step for step in self.content["steps"] if step["status"] == "completed"]
        self.content["metrics"] = {key: value for step in completed for key, value in step["metrics"].items()}
        if status != "running":
            self.content["finished"] = now()
            self.content["environment"]["devices"] = devices()
        self.content["seconds"] = round((datetime.now(UTC) - self.begun).total_seconds(), 3)
        if self.path.is_dir():
            clear(self.path)
        write_sealed(self.path, redacted_data(self.content, self.plan.document.environment))

    def _step(self, step: PlannedStep) -> dict[str, Any]:
        content: dict[str, Any] = {"id": step.id, "uses": step.uses, "status": "pending"}
        content |= {"fingerprint": step.fingerprint, "seconds": 0.0}
        content |= {"metrics": {}, "verdict": None, "details": {}}
        if (status := self.statuses.get(step.id)) is not None:
            return content | {"status": status}
        try:  # what is on disk counts, also of earlier processes
            stored = FinishedStep.read(self.plan.directory, step.id)
        except UnsoundFile:
            return content
        if stored.record.fingerprint != step.fingerprint:
            return content
        known = stored.record.model_dump(mode="json", include={"status", "seconds", "metrics", "verdict"})
        details = read_json(stored.directory / DETAILS)
        return content | known | {"details": details if isinstance(details, dict) else {}}


def sound_record(run: Path, console: Console) -> dict[str, Any] | None:
    """The content of `run.json`; None without one, or if it or `spec.yaml` is damaged, which is reported."""
    if not os.path.lexists(run / "steps"):
        return None  # a new run: its record is written before its first step
    try:
        content = read_sealed(run / RUN)
        check_spec(run, content.get("spec"))
    except UnsoundFile as error:
        console.say(f"{error}; it is written again", style="yellow")
        return None
    return content


def _previous(path: Path) -> dict[str, Any]:
    """The record of earlier processes; a damaged one is replaced by what the steps on disk say."""
    try:
        return read_sealed(path)
    except UnsoundFile:
        return {}


class _Dumper(yaml.SafeDumper):
    """Quotes strings that YAML 1.2 would read as something else; PyYAML knows only YAML 1.1."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve_scalar(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def resolved_data(plan: Plan) -> dict[str, Any]:
    """The spec with every default written out, as plain data."""
    data = plan.spec.model_dump(mode="json")
    for path, text in plan.document.interpolated.items():
        _restore(data, path, text)
    return data


def resolved_yaml(plan: Plan) -> str:
    """The same as YAML; reading it again gives the same fingerprint."""
    return yaml.dump(resolved_data(plan), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def recorded_options(plan: Plan, step: PlannedStep) -> dict[str, Any]:
    """A step's options as records show them.

    The planner copies those of a stage for the baselines that it adds, values of the environment included.
    """
    options = step.spec.to_dict()
    for path, text in plan.document.interpolated.items():
        section, *rest = path
        if section == "pipeline" and len(rest) > 1:
            source = plan.spec.pipeline[int(rest[0])]
            # A reference of the stage that a baseline was copied from is one of the baseline too.
            if source is step.spec:
                _restore(options, tuple(rest[1:]), text)
            elif step.added and source.entry is step.spec.entry:
                with suppress(LookupError, TypeError):  # an option that the baseline has otherwise
                    _restore(options, tuple(rest[1:]), text)
    return options


def _restore(data: Any, path: KeyPath, text: str) -> None:
    """Put `${env:NAME}` back where the document had it: values of the environment stay out of records."""
    for number, key in enumerate(path):
        place = _place(data, key)
        # A component that is shown as its bare name has no place for its `kind`.
        if number == len(path) - 1 or isinstance(data[place], str):
            data[place] = text
            return
        data = data[place]


def _place(data: Any, key: str | int) -> str | int:
    """The key, or the number of the entry that a mapping in the place of a default list names."""
    if isinstance(data, list) and isinstance(key, str):
        names = [entry.get("kind") if isinstance(entry, dict) else entry for entry in data]
        return names.index(key) if key in names else int(key)
    return key


def write_spec(plan: Plan) -> None:
    """Write the resolved spec into the run directory, unless it is there already."""
    path, text = plan.directory / SPEC, resolved_yaml(plan)
    try:
        if read_text(path) == text:
            return
    except UnsoundFile:
        clear(path)
    write_text(path, text)
