"""Reads a run directory into one value, so that the page and its figures never touch files.

Missing files are tolerated: users need a report most of all for a failed or unfinished run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ups_core import UPSError
from ups_core.reading import read_json
from ups_eval.predictions import TaskPredictions, read_predictions
from ups_eval.results import Results


@dataclass(frozen=True)
class StepRecord:
    """One step of the run."""

    id: str
    uses: str
    status: str
    seconds: float | None


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
    """A scored step with its stored trajectories."""

    id: str
    results: Results
    predictions: Mapping[str, TaskPredictions]


@dataclass(frozen=True)
class Run:
    """Everything that the page reports about a run."""

    directory: Path
    name: str
    fingerprint: str
    status: str
    started: str
    seconds: float | None
    command: list[str]
    environment: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    steps: list[StepRecord]
    training: list[TrainingLog]
    evaluations: list[Evaluation]
    spec: str


def collect(directory: Path) -> Run:
    """Read a run directory.

    Raises:
        UPSError: `run.json` is missing or unreadable.
    """
    record = read_json(directory / "run.json")
    if not isinstance(record, dict):
        raise UPSError(f"{directory} is not a run directory (run.json missing or unreadable)")
    steps = [
        StepRecord(step["id"], step.get("uses", ""), step.get("status", ""), step.get("seconds"))
        for step in record.get("steps", [])
    ]
    logs = [read_log(step.id, _folder(directory, step) / "metrics.jsonl") for step in steps]
    finished = [(step.id, directory / "steps" / step.id) for step in steps if step.status == "completed"]
    results = [(step, folder, Results.read(folder)) for step, folder in finished]
    return Run(
        directory=directory,
        name=str(record.get("name", directory.name)),
        fingerprint=str(record.get("fingerprint", "")),
        status=str(record.get("status", "unknown")),
        started=str(record.get("started", "")),
        seconds=record.get("seconds"),
        command=[str(part) for part in record.get("command", [])],
        environment=record.get("environment", {}),
        data=record.get("data", {}),
        steps=steps,
        training=[log for log in logs if log.series],
        evaluations=[
            Evaluation(step, result, read_predictions(folder / "predictions.h5"))
            for step, folder, result in results
            if result is not None
        ],
        spec=_read_text(directory / "spec.yaml"),
    )


def read_log(step: str, path: Path) -> TrainingLog:
    """The numbers of a `metrics.jsonl`; truncated lines and missing keys are skipped."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for number, line in enumerate(_read_text(path).splitlines()):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut off
        if not isinstance(values, dict):
            continue
        at = values.get("step", number)
        for name, value in values.items():
            if name not in ("step", "epoch", "seconds") and isinstance(value, (int, float)):
                steps, numbers = series.setdefault(name, ([], []))
                steps.append(float(at))
                numbers.append(float(value))
    return TrainingLog(step, series)


def _folder(run: Path, step: StepRecord) -> Path:
    """Where the files of a step are: those of an incomplete step are in its partial directory."""
    return run / "steps" / (step.id if step.status == "completed" else f".{step.id}.partial")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
