"""The tracker `tensorboard`: one directory of event files per run of UPS."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from ups_core import TrackedRun, TrackedStep, UPSError
from ups_core.tracked_step import COLUMNS, gate_rows
from ups_train.trackers.config import TensorBoardConfig


class TensorBoardTracker:
    """Scalars per step id, figures as images; the spec, gate tables and where files are, as text.

    TensorBoard has no artifacts: bundles and pages stay where they are, and are named.

    Raises:
        UPSError: tensorboard is not installed.
    """

    def __init__(self, config: TensorBoardConfig) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            package = "pip install 'ups-train[tensorboard]'"
            raise UPSError(f"the tracker 'tensorboard' needs tensorboard: {package}") from None
        self._create = SummaryWriter

    def start(self, run: TrackedRun) -> None:
        """Open a new event file beside those of earlier processes."""
        self.run = run.directory
        known = any(run.folder.glob("events.*"))
        self._writer = self._create(str(run.folder))
        if not known:
            text = yaml.safe_dump(dict(run.spec), sort_keys=False, allow_unicode=True)
            self._text("spec", f"```yaml\n{text}```")

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to every curve."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_step(self, step: TrackedStep) -> None:
        """Metrics that no line had are points at step 0."""
        for name, value in step.points.items():
            self._writer.add_scalar(name, value, 0)
        if step.gates:
            cells = [[cell.replace("|", r"\|") for cell in row] for row in gate_rows(step)]
            rows = [list(COLUMNS), ["---"] * len(COLUMNS), *cells]
            self._text(f"{step.id}/gates", "\n".join("| " + " | ".join(row) + " |" for row in rows))
        import numpy as np
        from PIL import Image

        for file in (file for file in step.files if file.suffix == ".png"):
            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB"))
            name = file.relative_to(step.directory).with_suffix("").as_posix()
            self._writer.add_image(f"{step.id}/{name}", pixels, 0, dataformats="HWC")
        paths = [path for path in (step.model, *step.files) if path is not None]
        if paths:
            lines = [f"- {path.relative_to(self.run).as_posix()}" for path in paths]
            self._text(f"{step.id}/files", "\n".join(lines))
        self._writer.flush()

    def finish(self, status: str) -> None:
        """Close the event file."""
        self._text("status", status)
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        self._writer.add_text(name, text, 0)
