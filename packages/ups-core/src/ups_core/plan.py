"""The plan: steps in order with inputs, fingerprints and states, as the planner makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ups_core.document import Document
from ups_core.errors import UPSError
from ups_core.spec import PipelineSpec, StepSpec
from ups_core.task import DataPlan, TaskProvider

State = Literal["done", "kept", "stale", "damaged", "foreign", "interrupted", "to do"]
"""`kept`: done in a previous run of another version of the spec, and still valid; `stale`: done for other
options, data or code; `damaged`: its files are not those that were written; `foreign`: another user's."""

FINISHED: tuple[State, ...] = ("done", "kept")
"""States of a step that need not run."""


@dataclass(frozen=True)
class PlannedStep:
    """One step that is ready to run.

    Attributes:
        inputs: artifact kind -> id of the step that provides it.
        after: ids of all steps that this one depends on.
        baseline: true where the step trains what another step compares with.
        added: true where the planner added the step, for a baseline that no stage of the spec trains.
        providers: distribution -> version of the code that computes the step.
        problem: what is wrong with the files of a step that is `damaged` or `foreign`.
    """

    spec: StepSpec
    inputs: Mapping[str, str]
    after: tuple[str, ...]
    baseline: bool
    added: bool
    providers: Mapping[str, str]
    fingerprint: str
    state: State
    problem: str = ""

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def uses(self) -> str:
        """`stage: operator`, as in the spec."""
        return f"{self.spec.role}: {self.spec.entry.name}"


@dataclass(frozen=True)
class PreviousRun:
    """The run that a changed spec is compared with.

    Attributes:
        changes: what differs in the resolved specs, `key: old -> new`.
    """

    directory: Path
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A run that could start now."""

    spec: PipelineSpec
    document: Document
    directory: Path
    data_root: Path
    fingerprint: str
    tasks: Mapping[str, TaskProvider]
    data: Mapping[str, DataPlan]
    steps: tuple[PlannedStep, ...]
    previous: PreviousRun | None = None

    @property
    def todo(self) -> tuple[PlannedStep, ...]:
        """Steps that must run."""
        return tuple(step for step in self.steps if step.state not in FINISHED)

    def step(self, name: str) -> PlannedStep:
        """The step with this id. Raises :class:`UPSError` naming the ids there are."""
        for step in self.steps:
            if step.id == name:
                return step
        raise UPSError(f"unknown step '{name}'; steps: {', '.join(step.id for step in self.steps)}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.spec.name,
            "fingerprint": self.fingerprint,
            "directory": str(self.directory),
            "previous": self.previous
            and {"directory": str(self.previous.directory), "changes": list(self.previous.changes)},
            "data": {
                name: {
                    "fingerprint": data.fingerprint,
                    "source": data.source,
                    "files": [str(path) for path in data.files],
                    "missing": [str(path) for path in data.missing],
                    "note": data.note,
                }
                for name, data in self.data.items()
            },
            "steps": [
                {
                    "id": step.id,
                    "uses": step.uses,
                    "state": step.state,
                    "problem": step.problem,
                    "fingerprint": step.fingerprint,
                    "after": list(step.after),
                    "inputs": dict(step.inputs),
                    "baseline": step.baseline,
                    "providers": dict(step.providers),
                }
                for step in self.steps
            ],
        }
