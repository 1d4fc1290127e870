"""One tracker of a run, in a thread of its own, with the note of what it has been sent."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints

from ups_core.console import Console
from ups_core.files import write_json
from ups_core.finished_step import FinishedStep
from ups_core.layout import clear
from ups_core.plugin_calls import described
from ups_core.reading import UnsoundFile, in_form, load_json
from ups_core.tracked_step import LINES, metric_lines, tracked_step
from ups_core.tracker import TrackedRun, Tracker

NOTE = "sent.json"
"""In a tracker's folder: the id of its run and what it has been sent."""
POLL = 1.0
"""Seconds between two looks at the lines of a training."""


class Sent(BaseModel):
    """The content of :data:`NOTE`.

    Attributes:
        id: of the tracker's run.
        count: number of lines and steps that were sent.
        lines: step id -> optimizer step of the last line that was sent.
        steps: step id -> when the step whose results were sent finished.
    """

    id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")]
    count: int = 0
    lines: dict[str, int] = {}
    steps: dict[str, str] = {}


class Channel:
    """One tracker and its thread.

    Everything but creating the thread and waiting happens in the thread, in the order of the calls. After a
    call that raised, or took too long, the tracker gets nothing more.

    Args:
        name: of the tracker in messages.
        folder: where the tracker writes.
        environment: name -> value of the variables that the spec refers to, which stay secret.
        console: shows why the tracker stopped.
    """

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], console: Console) -> None:
        self.name = name
        self.folder = folder
        self.environment = environment
        self.console = console
        self.tracker: Tracker | None = None
        self._sent = Sent(id=secrets.token_hex(4))
        self._training: tuple[str, Path] | None = None
        self._looked: tuple[int, int] | None = None
        self._jobs: queue.SimpleQueue[Callable[[Tracker], None] | threading.Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)

    def start(self, run: Path, spec: Mapping[str, Any]) -> None:
        """Begin or continue the tracker's run."""
        self._thread.start()
        self._jobs.put(partial(self._start, run, spec))

    def begin(self, step: str, directory: Path) -> None:
        """Watch the lines of a step. One that begins from scratch has none yet."""
        self._jobs.put(partial(self._begin, step, directory, not (directory / LINES).exists()))

    def end(self) -> None:
        """Send the last lines of the step and watch it no longer."""
        self._jobs.put(self._end)

    def completed(self, step: FinishedStep) -> None:
        """Send a finished step, unless that was done."""
        self._jobs.put(partial(self._completed, step))

    def finish(self, status: str) -> None:
        """Send what is left and end the tracker's run."""
        self.end()
        self._jobs.put(partial(self._finish, status))

    def wait(self, patience: float) -> None:
        """Wait until everything is done; a tracker that takes longer is not waited for again."""
        done = threading.Event()
        self._jobs.put(done)
        if self.tracker is not None and self._thread.is_alive() and not done.wait(patience):
            self.fail(f"no answer within {patience:.0f} s")

    def fail(self, reason: str) -> None:
        """Report, once, that the tracker gets nothing more."""
        self.tracker = None
        self.console.say(f"tracker {self.name}: {reason}; the run continues without it", style="yellow")

    def _work(self) -> None:
        """The thread: one job after the other, and a look at the lines of a training between them."""
        while self.tracker is not None or not self._jobs.empty():
            try:
                job = self._jobs.get(timeout=POLL)
            except queue.Empty:
                job = self._send_lines
            if isinstance(job, threading.Event):
                job.set()
            elif (tracker := self.tracker) is not None:
                try:
                    job(tracker)
                except BaseException as error:  # SystemExit, too, would end the thread without a word
                    if self.tracker is not None:
                        self.fail(described(error))

    def _start(self, run: Path, spec: Mapping[str, Any], tracker: Tracker) -> None:
        for folder in (self.folder.parent, self.folder):
            if folder.is_symlink():  # could lead to files that are not this run's
                clear(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / NOTE
        try:
            self._sent = in_form(path, Sent.model_validate, load_json(path), "a note of what was sent")
        except UnsoundFile:  # missing, or something else that cannot be the note
            clear(path)
            self._note()
        tracker.start(TrackedRun(self._sent.id, run.name, run, self.folder, spec, self._sent.count))

    def _begin(self, step: str, directory: Path, new: bool, tracker: Tracker) -> None:
        self._training = step, directory
        if new:
            self._sent.lines.pop(step, None)

    def _end(self, tracker: Tracker) -> None:
        self._send_lines(tracker)
        self._training = self._looked = None

    def _send_lines(self, tracker: Tracker) -> None:
        """Send new lines of the training that runs, if its file has changed."""
        if self._training is None:
            return
        step, directory = self._training
        try:
            status = (directory / LINES).stat()
        except OSError:
            return
        if self._looked != (looked := (status.st_mtime_ns, status.st_size)):
            self._send_from(step, directory, tracker)
            self._looked = looked

    def _send_from(self, step: str, directory: Path, tracker: Tracker) -> None:
        """Send the lines beyond the last one: an interrupted training repeats steps since its checkpoint."""
        before = self._sent.count
        for number, metrics in metric_lines(directory):
            if number > self._sent.lines.get(step, -1):
                tracker.log_metrics(step, {f"{step}/{key}": metrics[key] for key in metrics}, number)
                self._sent.lines[step] = number
                self._sent.count += 1
        if self._sent.count > before:
            self._note()

    def _completed(self, step: FinishedStep, tracker: Tracker) -> None:
        record = step.record
        if self._sent.steps.get(record.id) == record.finished:
            return
        self._send_from(record.id, step.directory, tracker)
        tracker.log_step(tracked_step(step, self.environment))
        self._sent.steps[record.id] = record.finished
        self._sent.count += 1
        self._note()

    def _finish(self, status: str, tracker: Tracker) -> None:
        tracker.finish(status)
        self.tracker = None

    def _note(self) -> None:
        write_json(self.folder / NOTE, self._sent.model_dump())
