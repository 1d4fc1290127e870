"""What trackers get of a step on disk: the lines of its training, and its results once it is finished."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ups_core.finished_step import FinishedStep
from ups_core.page import PAGE
from ups_core.reading import UnsoundFile, read_text
from ups_core.redaction import redacted_data
from ups_core.sealed import read_sealed
from ups_core.tracker import TrackedStep

LINES = "metrics.jsonl"
"""In a step's directory: one JSON object per validation, with `step` and metrics; None where not finite."""
GATES = "gates.json"
"""In a step's directory: the criteria of a gate."""
MODEL = "model"
"""In a step's directory: the bundle that it trained."""
FIGURES = (".png", ".svg")
COLUMNS = ("label", "value", "low", "high", "bound", "passed", "reason")
"""Keys of a criterion of a gate."""


def metric_lines(directory: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The optimizer step and the finite numbers of every line of a training so far.

    A line that is incomplete, because it is being written, is left out.
    """
    try:
        text = read_text(directory / LINES)
    except UnsoundFile:
        return
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and isinstance(content.get("step"), int):
            yield content["step"], _finite({key: content[key] for key in content if key != "step"})


def tracked_step(finished: FinishedStep, environment: Mapping[str, str]) -> TrackedStep:
    """The results of a finished step.

    Args:
        environment: name -> value of the variables that the spec refers to, which stay secret.
    """
    record, directory = finished.record, finished.directory
    metrics = _finite(record.metrics)
    known = {f"{record.id}/{key}" for _, line in metric_lines(directory) for key in line}
    names = [PurePosixPath(name) for name in record.files]
    files = [name for name in names if str(name) == PAGE or name.suffix in FIGURES]
    return TrackedStep(
        id=record.id,
        uses=record.uses,
        directory=directory,
        metrics=metrics,
        points={key: value for key, value in metrics.items() if key not in known},
        gates=tuple(redacted_data(criterion, environment) for criterion in _criteria(directory)),
        model=directory / MODEL if any(name.parts[0] == MODEL for name in names) else None,
        files=tuple(directory / name for name in files),
    )


def gate_rows(step: TrackedStep) -> list[list[str]]:
    """The table of a step's gate as text, without headings (:data:`COLUMNS`)."""
    return [[_text(criterion.get(key)) for key in COLUMNS] for criterion in step.gates]


def _criteria(directory: Path) -> Iterator[dict[str, Any]]:
    """The criteria that a gate left; nothing where it left none or the file is damaged."""
    try:
        criteria = read_sealed(directory / GATES).get("criteria")
    except UnsoundFile:
        return
    yield from (item for item in criteria if isinstance(item, dict)) if isinstance(criteria, list) else ()


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers; a bool is not one."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
