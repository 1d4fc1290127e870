"""Sends a run to its trackers, each in a thread of its own, so that none can stop the run.

Trainings do not know of trackers. The runner's process reads the lines that a training appends to
`metrics.jsonl`, wherever the training runs: a tracker's run belongs to one process, also with several ranks.
"""

from __future__ import annotations

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.finished_step import FinishedStep
from ups_core.layout import partial_directory
from ups_core.names import step_id
from ups_core.plan import Plan
from ups_core.plugin_calls import described
from ups_core.reading import UnsoundFile
from ups_core.record import resolved_data
from ups_core.redaction import redacted_data
from ups_core.tracker_channel import Channel

FOLDER = "trackers"
"""In a run directory: a folder per tracker."""
PATIENCE = 60.0
"""Seconds that a run waits for a tracker at the end of a step, and at its own end."""
HURRY = 20.0
"""Seconds that an interrupted run waits: what interrupts it may kill it soon."""


class Tracking:
    """The trackers of one run; see :mod:`ups_core.tracker`.

    Args:
        plan: the run.
        console: shows which tracker failed, and why.

    Raises:
        UPSError: a tracker cannot be used at all, for instance because its package is not installed.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan = plan
        self._channels: list[Channel] = []
        names: list[str] = []
        for component in plan.spec.trackers:
            name = step_id(component.kind)
            names.append(name)
            name += f"-{names.count(name)}" if names.count(name) > 1 else ""
            channel = Channel(name, plan.directory / FOLDER / name, plan.document.environment, console)
            try:
                channel.tracker = component.create()
            except UPSError:
                raise
            except Exception as error:  # an account that does not exist, a server that is away…
                channel.fail(described(error))
            self._channels.append(channel)

    def start(self) -> None:
        """Begin, with the results of the steps that are finished already."""
        spec = redacted_data(resolved_data(self.plan), self.plan.document.environment)
        for channel in self._channels:
            channel.start(self.plan.directory, spec)
        self.completed(*(step.id for step in self.plan.steps))

    def begin(self, step: str) -> None:
        """A step begins: from now on the lines of its `metrics.jsonl` are sent."""
        for channel in self._channels:
            channel.begin(step, partial_directory(self.plan.directory, step))

    def settle(self) -> None:
        """Send what the step has left, and wait for that: its directory is sealed and renamed next."""
        for channel in self._channels:
            channel.end()
        for channel in self._channels:
            channel.wait(PATIENCE)

    def completed(self, *steps: str) -> None:
        """Send the results of those steps that are finished and were not sent before."""
        for name in steps if self._channels else ():
            try:
                step = FinishedStep.read(self.plan.directory, name)
            except UnsoundFile:
                continue
            if step.record.fingerprint == self.plan.step(name).fingerprint:
                for channel in self._channels:
                    channel.completed(step)

    def finish(self, status: str) -> None:
        """End, after the lines of a step that did not finish."""
        patience = HURRY if status == "interrupted" else PATIENCE
        for channel in self._channels:
            channel.finish(status)
        for channel in self._channels:
            channel.wait(patience)
