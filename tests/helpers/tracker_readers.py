"""Reads back what trackers wrote: transaction logs of wandb, event files of TensorBoard, databases of MLflow."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK = 32768
HEADER = 7
"""Bytes before the first record of a wandb log (`:W&B`, magic number, version), and of a record's header."""


def _records(path: Path) -> Iterator[bytes]:
    """The records of a log in the format of LevelDB (its doc/log_format.md)."""
    content = path.read_bytes()
    assert content[:4] == b":W&B"
    at, parts = HEADER, b""
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + HEADER])
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # complete, or the last part
            yield parts
            parts = b""


@dataclass
class WandbRun:
    """What the logs of one wandb run hold, of all processes that wrote to it.

    Attributes:
        history: a mapping per row, `_step` included.
        axes: name pattern of metrics -> the metric that is their horizontal axis.
        artifacts: name -> paths of the files in it.
    """

    ids: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)

    def curve(self, name: str) -> list[tuple[int, float]]:
        """The points of a metric: its step's own step, and the value."""
        axis = f"{name.partition('/')[0]}/step"
        return [(row[axis], row[name]) for row in self.history if name in row and axis in row]


def read_wandb(run: Path) -> WandbRun:
    """The wandb run of a run directory."""
    from wandb.proto import wandb_internal_pb2 as messages

    found = WandbRun()
    for path in sorted(run.glob("trackers/wandb/wandb/offline-run-*/run-*.wandb")):
        for content in _records(path):
            record = messages.Record()
            record.ParseFromString(content)
            if record.HasField("run"):
                found.ids.append(record.run.run_id)
                found.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif record.HasField("history"):
                found.history.append(_items(record.history.item))
            elif record.HasField("summary"):
                found.summary |= _items(record.summary.update)
            elif record.HasField("metric") and record.metric.step_metric:
                found.axes[record.metric.glob_name or record.metric.name] = record.metric.step_metric
            elif record.HasField("artifact"):
                files = sorted(entry.path for entry in record.artifact.manifest.contents)
                found.artifacts[record.artifact.name] = files
            elif record.HasField("request") and record.request.HasField("log_artifact"):
                artifact = record.request.log_artifact.artifact
                found.artifacts[artifact.name] = sorted(entry.path for entry in artifact.manifest.contents)
            elif record.HasField("exit"):
                found.exits.append(record.exit.exit_code)
    return found


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def read_tensorboard(run: Path) -> Any:
    """The event files of a run directory, of all processes, loaded."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loaded = EventAccumulator(
        str(run / "trackers" / "tensorboard"), {"scalars": 0, "tensors": 0, "images": 0}
    )
    loaded.Reload()
    return loaded


def read_mlflow(database: Path, question: str, *values: str) -> list[tuple[Any, ...]]:
    """The rows that a query of an MLflow database returns."""
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.execute(question, values))
