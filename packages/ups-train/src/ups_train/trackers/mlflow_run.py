"""The tracker `mlflow`: one run of MLflow per run of UPS."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from ups_core import TrackedRun, TrackedStep, UPSError
from ups_core.files import open_own
from ups_core.tracked_step import COLUMNS, gate_rows
from ups_train.trackers.config import MLflowConfig

FOLDER = "mlflow"
"""Beside the run directories: database and artifacts of all runs."""
TAG = "ups.run"
"""Tag that holds the id of the UPS run, by which a resumed one is found."""
SERVERS = ("http:", "https:", "databricks")
"""Beginnings of addresses that are not those of databases."""
ENDS = {"completed": "FINISHED", "stopped": "FAILED", "failed": "FAILED", "interrupted": "KILLED"}
LONGEST = 500
"""Characters of the longest value of a parameter that every store of MLflow takes."""


class MLflowTracker:
    """Metrics per step id, the spec as parameters and as a file, gate tables, pages, figures and bundles.

    Raises:
        UPSError: mlflow is not installed.
    """

    def __init__(self, config: MLflowConfig) -> None:
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError:
            raise UPSError("the tracker 'mlflow' needs mlflow: pip install 'ups-train[mlflow]'") from None
        for name in ("mlflow", "alembic"):  # the tables that a new database gets, line by line
            logging.getLogger(name).setLevel(logging.WARNING)
        self._connect = MlflowClient
        self.config = config

    def start(self, run: TrackedRun) -> None:
        """Begin or continue the MLflow run."""
        experiment = self._experiment((run.directory.parent / FOLDER).absolute())
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{run.id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        tags = {**self.config.tags, TAG: run.id}
        self._id = self._client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
        self._client.log_dict(self._id, dict(run.spec), "spec.yaml")
        for name, value in _parameters("", run.spec):
            self._client.log_param(self._id, name, value)

    def _experiment(self, folder: Path) -> str:
        """Connect; the id of the experiment, which is made where it is new.

        Args:
            folder: of the default database, and of the artifacts of every database.
        """
        uri, artifacts = self.config.uri, None
        if uri is None or not uri.startswith(SERVERS):  # a server has a place of its own
            folder.mkdir(exist_ok=True)
            artifacts = (folder / "artifacts").as_uri()  # MLflow's default is the current directory
            uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
            # Runs that start side by side would each make the tables of a new database.
            lock: AbstractContextManager[TextIO | None] = open_own(folder / ".lock", "a")
        else:
            lock = nullcontext()
        with lock as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            self._client = self._connect(tracking_uri=uri)
            known = self._client.get_experiment_by_name(self.config.experiment)
            if known is not None:
                return str(known.experiment_id)
            return str(self._client.create_experiment(self.config.experiment, artifacts))

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to every metric."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()]
        )

    def log_step(self, step: TrackedStep) -> None:
        """Metrics that no line had are points at step 0."""
        self.log_metrics(step.id, step.points, 0)
        if step.gates:
            table = {"columns": list(COLUMNS), "data": gate_rows(step)}
            self._client.log_dict(self._id, table, f"{step.id}/gates.json")
        for file in step.files:
            folder = file.parent.relative_to(step.directory).as_posix()
            self._client.log_artifact(self._id, str(file), f"{step.id}/{folder}".removesuffix("/."))
        if step.model is not None:
            self._client.log_artifacts(self._id, str(step.model), f"{step.id}/{step.model.name}")

    def finish(self, status: str) -> None:
        """End the MLflow run."""
        self._client.set_terminated(self._id, ENDS[status])


def _parameters(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The scalars of a spec, by their path: `pipeline/0/optimizer/lr`."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, Mapping):
        yield name, str(value)[:LONGEST]
        return
    for key, item in value.items():
        yield from _parameters(f"{name}/{key}" if name else str(key), item)
