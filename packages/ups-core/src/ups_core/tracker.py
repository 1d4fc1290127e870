"""The contract of an experiment tracker: what a `trackers` component creates, and what it is given.

One tracker run is one run of UPS: all stages and evaluation steps, also where the command was interrupted and
repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrackedRun:
    """One run as trackers see it.

    Attributes:
        id: eight hexadecimal digits, the same when an interrupted run resumes.
        name: of the run directory, such as `pdebench_2task-3f9c1a2b`.
        directory: the run directory.
        folder: where the tracker may write, inside the run directory.
        spec: the resolved spec as plain data; values of `${env:NAME}` are left as references.
        sent: number of lines and steps that earlier processes of this run have sent.
    """

    id: str
    name: str
    directory: Path
    folder: Path
    spec: Mapping[str, Any]
    sent: int


@dataclass(frozen=True)
class TrackedStep:
    """A finished step as trackers see it.

    Attributes:
        id: the step's id.
        uses: as in the spec, such as `stage: operator`.
        directory: the step's files.
        metrics: `<step id>/<key>` -> value, without those that are not finite.
        points: the metrics that :meth:`Tracker.log_metrics` was not given for this step.
        gates: the criteria of a gate, in order: `label`, `value`, `low`, `high`, `bound`, `passed`, `reason`.
        model: directory of the bundle that the step trained; None for others.
        files: its page and its figures (PNG, SVG).
    """

    id: str
    uses: str
    directory: Path
    metrics: Mapping[str, float]
    points: Mapping[str, float]
    gates: tuple[Mapping[str, Any], ...]
    model: Path | None
    files: tuple[Path, ...]


class Tracker(Protocol):
    """Sends a run to some other program.

    The methods are called in one thread beside the run's own. One that raises is reported in a line; the
    tracker gets no more of this run, and the run continues.
    """

    def start(self, run: TrackedRun) -> None:
        """Begin the tracker's run, or continue it where `run.id` is known from an earlier process."""
        ...

    def log_metrics(self, step_id: str, metrics: Mapping[str, float], step: int) -> None:
        """Take one line of a training's `metrics.jsonl`.

        Args:
            step_id: of the training step.
            metrics: `<step id>/<key>` -> value.
            step: number of optimizer steps of this training; within one training it grows from line to line.
        """
        ...

    def log_step(self, step: TrackedStep) -> None:
        """Take the results of a finished step."""
        ...

    def finish(self, status: str) -> None:
        """End: `completed`, `stopped` (by a gate), `failed` or `interrupted`; all may be continued later."""
        ...
