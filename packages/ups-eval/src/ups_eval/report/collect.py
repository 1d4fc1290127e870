"""Reads a run directory into one value, so that the page and its figures never touch files.

Missing files are tolerated: users need a report most of all for a failed or unfinished run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ups_core.citations import Cited, citations_of
from ups_core.errors import UPSError
from ups_core.finished_step import FinishedStep
from ups_core.layout import partial_directory
from ups_core.names import step_id
from ups_core.reading import UnsoundFile, read_text
from ups_core.run_file import RunStep, read_run
from ups_core.validate import load_spec
from ups_eval.gate.record import FILE as GATES
from ups_eval.gate.record import Gates
from ups_eval.predictions import FILE as PREDICTIONS
from ups_eval.predictions import TaskPredictions, read_predictions
from ups_eval.results import Results
from ups_eval.trajectory_statistics import FILE as STATISTICS
from ups_eval.trajectory_statistics import Values, read_statistics

LOG = "metrics.jsonl"


@dataclass(frozen=True)
class TrainingLog:
    """What a training stage logged.

    Attributes:
        step: id of the stage.
        series: name -> `(optimizer steps, values)`.
    """

    step: str
    series: Mapping[str, tuple[list[float], list[float]]]


@dataclass(frozen=True)
class Evaluation:
    """A scored step with its stored trajectories, and what all trajectories contribute to the scores."""

    id: str
    results: Results
    predictions: Mapping[str, TaskPredictions]
    statistics: Mapping[str, Values]


@dataclass(frozen=True)
class Run:
    """Everything that the page reports about a run; `gates` and `options` by the ids of their steps."""

    directory: Path
    name: str
    fingerprint: str
    status: str
    started: str
    seconds: float
    command: list[str]
    environment: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    steps: list[RunStep]
    training: list[TrainingLog]
    evaluations: list[Evaluation]
    spec: str
    gates: Mapping[str, Gates] = field(default_factory=dict)
    citations: Sequence[Cited] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def baselines(self) -> set[str]:
        """Ids of the steps that trained what is only compared with."""
        return {step_id(name) for item in self.evaluations for name in item.results.baselines}


def collect(directory: Path) -> Run:
    """Read a run directory.

    Raises:
        UnsoundFile: `run.json` is missing, or a file that the page shows numbers from is damaged.
    """
    record = read_run(directory)
    finished = {
        step.id: FinishedStep.read(directory, step.id) for step in record.steps if step.status == "completed"
    }
    logs = [_log(directory, step.id, finished.get(step.id)) for step in record.steps]
    results = [(step, Results.read(step)) for step in finished.values()]
    return Run(
        directory=directory,
        name=record.name,
        fingerprint=record.fingerprint,
        status=record.status,
        started=record.started,
        seconds=record.seconds,
        command=record.command,
        environment=record.environment,
        data=record.data,
        steps=record.steps,
        training=[log for log in logs if log.series],
        evaluations=[
            Evaluation(step.record.id, result, _predictions(step), read_statistics(step.file(STATISTICS)))
            for step, result in results
            if result is not None
        ],
        spec=_read_text(directory / "spec.yaml"),
        citations=_citations(directory),
        options={step.record.id: step.record.options for step in finished.values()},
        gates={
            step.record.id: Gates.load(step.file(GATES))
            for step in finished.values()
            if GATES in step.record.files
        },
    )


def read_log(step: str, path: Path) -> TrainingLog:
    """The numbers of a `metrics.jsonl`; truncated lines and missing keys are skipped.

    Losses between two lines are spread evenly over the steps between them.
    """
    series: dict[str, tuple[list[float], list[float]]] = {}

    def add(name: str, at: float, value: Any) -> None:
        if isinstance(value, (int, float)):
            steps, numbers = series.setdefault(name, ([], []))
            steps.append(float(at))
            numbers.append(float(value))

    before = 0.0
    for number, line in enumerate(_read_text(path).splitlines()):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut off
        if not isinstance(values, dict):
            continue
        at, curves = values.get("step", number), values.get("curve")
        courses = (
            {f"train/{task}/loss": losses for task, losses in curves.items()}
            if isinstance(curves, dict)
            else {}
        )
        for name, losses in courses.items():
            for place, loss in enumerate(losses if isinstance(losses, list) else [], start=1):
                add(name, before + (at - before) * place / len(losses), loss)
        for name, value in values.items():
            if name not in ("step", "epoch", "seconds", *courses):
                add(name, at, value)
        before = at
    return TrainingLog(step, series)


def _log(run: Path, step_id: str, finished: FinishedStep | None) -> TrainingLog:
    """The log of a step: of an incomplete one, as far as it goes."""
    if finished is None:
        return read_log(step_id, partial_directory(run, step_id) / LOG)
    return read_log(step_id, finished.file(LOG)) if LOG in finished.record.files else TrainingLog(step_id, {})


def _predictions(step: FinishedStep) -> dict[str, TaskPredictions]:
    """The stored predictions of a step; empty if none were stored (`save_predictions: 0`)."""
    return read_predictions(step.file(PREDICTIONS)) if PREDICTIONS in step.record.files else {}


def _citations(directory: Path) -> list[Cited]:
    """The references of the run's spec; none where it cannot be read here, as without one of its plugins."""
    try:
        spec, _ = load_spec(directory / "spec.yaml")
        return citations_of(spec)
    except UPSError:
        return []


def _read_text(path: Path) -> str:
    try:
        return read_text(path)
    except UnsoundFile:
        return ""
