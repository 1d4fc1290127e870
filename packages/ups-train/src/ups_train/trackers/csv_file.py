"""The tracker `csv`: the lines of a training as a table beside `metrics.jsonl`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from ups_core import TrackedRun, TrackedStep
from ups_core.files import write_text
from ups_core.layout import partial_directory
from ups_core.reading import UnsoundFile, read_text
from ups_train.trackers.config import CSVConfig

FILE = "metrics.csv"


class CSVTracker:
    """Writes `metrics.csv` into the directory of every training step: a row per line, a column per metric.

    Rows from a line's step on are replaced, so that a resumed training has none twice. Steps that were
    finished before are left as they are.
    """

    def __init__(self, config: CSVConfig) -> None:
        self.config = config

    def start(self, run: TrackedRun) -> None:
        """Nothing is written before the first line."""
        self.directory = run.directory

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Add a row."""
        folder = partial_directory(self.directory, step_id)
        if not folder.is_dir():
            return
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(folder / FILE))))
        except UnsoundFile:
            rows = []
        rows = [row for row in rows if (row.get("step") or "").isdecimal() and int(row["step"]) < step]
        names = {name.removeprefix(f"{step_id}/"): str(value) for name, value in metrics.items()}
        rows.append({"step": str(step), **names})
        table = io.StringIO()
        columns = dict.fromkeys(column for row in rows for column in row)
        writer = csv.DictWriter(table, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(folder / FILE, table.getvalue())

    def log_step(self, step: TrackedStep) -> None:
        """Results are in the step's own files."""

    def finish(self, status: str) -> None:
        """There is nothing to end."""
