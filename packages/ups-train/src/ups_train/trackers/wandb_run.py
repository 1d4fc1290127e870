"""The tracker `wandb`: one run of Weights and Biases per run of UPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ups_core import TrackedRun, TrackedStep, UPSError
from ups_core.tracked_step import COLUMNS, gate_rows
from ups_train.trackers.config import WandbConfig


class WandbTracker:
    """Charts on the own axis of every step; gate tables, pages and figures as media; bundles as artifacts.

    Raises:
        UPSError: wandb is not installed.
    """

    def __init__(self, config: WandbConfig) -> None:
        try:
            import wandb
        except ModuleNotFoundError:
            raise UPSError("the tracker 'wandb' needs wandb: pip install 'ups-train[wandb]'") from None
        self.wandb = wandb
        self.config = config
        self._axes: set[str] = set()

    def start(self, run: TrackedRun) -> None:
        """Begin or continue the wandb run."""
        self.name = run.name
        # History rows are numbered by hand: offline, wandb cannot know how many an earlier process has sent.
        self._row = run.sent
        self._run: Any = self.wandb.init(
            id=run.id,
            name=run.name,
            dir=run.folder,
            project=self.config.project,
            entity=self.config.entity,
            tags=self.config.tags,
            config=dict(run.spec),
            mode=self.config.mode,
            resume="allow",
            reinit="create_new",  # a run that user code has open in this process stays open
            settings=self.wandb.Settings(silent=True, console="off", save_code=False),
        )

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to the charts of a step, whose horizontal axis is `<step id>/step`."""
        axis = f"{step_id}/step"
        if axis not in self._axes:
            self._run.define_metric(axis, hidden=True)
            self._run.define_metric(f"{step_id}/*", step_metric=axis)
            self._axes.add(axis)
        self._log({**metrics, axis: step})

    def log_step(self, step: TrackedStep) -> None:
        """Metrics also go to the summary: of a training, those of the selected weights."""
        media: dict[str, Any] = {}
        if step.gates:
            media[f"{step.id}/gates"] = self.wandb.Table(columns=list(COLUMNS), data=gate_rows(step))
        for file in step.files:
            name = file.relative_to(step.directory).as_posix()
            if file.suffix == ".png":
                media[f"{step.id}/{name}"] = self.wandb.Image(str(file))
            elif file.suffix == ".html":
                media[f"{step.id}/{name}"] = self.wandb.Html(str(file), inject=False)
        self._log({**step.points, **media})
        self._run.summary.update(dict(step.metrics))
        if step.model is not None:
            model = self.wandb.Artifact(f"{self.name}-{step.id}", "model", metadata=dict(step.metrics))
            for file in sorted(step.model.rglob("*")):
                model.add_file(str(file), file.relative_to(step.model).as_posix())
            self._run.log_artifact(model)
        if step.files:
            files = self.wandb.Artifact(f"{self.name}-{step.id}-files", "report")
            for file in step.files:
                files.add_file(str(file), file.relative_to(step.directory).as_posix())
            self._run.log_artifact(files)

    def finish(self, status: str) -> None:
        """End the wandb run; a later process may continue it."""
        self._run.finish(exit_code=0 if status == "completed" else 1)

    def _log(self, values: Mapping[str, Any]) -> None:
        self._run.log(dict(values), step=self._row)
        self._row += 1
