"""Any logger of Lightning as a tracker, for plugins that have one already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lightning.pytorch.loggers import Logger

from ups_core import TrackedRun, TrackedStep


class LightningTracker:
    """Gives a Lightning logger the spec as hyperparameters and the metrics of all steps.

    Args:
        make: called as `make(folder, name)` when a run starts, with where to write and the run's name.
    """

    def __init__(self, make: Callable[[Path, str], Logger]) -> None:
        self.make = make

    def start(self, run: TrackedRun) -> None:
        """Make the logger."""
        self.logger = self.make(run.folder, run.name)
        self.logger.log_hyperparams(dict(run.spec))

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Log a line."""
        self.logger.log_metrics(dict(metrics), step)
        self.logger.save()

    def log_step(self, step: TrackedStep) -> None:
        """Log the metrics that no line had, at step 0."""
        if step.points:
            self.logger.log_metrics(dict(step.points), 0)
            self.logger.save()

    def finish(self, status: str) -> None:
        """End the logger."""
        self.logger.finalize("success" if status == "completed" else "failed")
