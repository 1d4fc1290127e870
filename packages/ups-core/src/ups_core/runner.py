"""The runner: executes the steps that are not done yet, in order, and keeps the record up to date.

A step writes into `steps/.<id>.partial`, which is renamed when it is complete, so a directory without the
dot is always complete.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ups_core import interrupts
from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.execution import load_factory
from ups_core.files import write_text
from ups_core.finished_step import write_finished
from ups_core.launcher import Launcher
from ups_core.lifecycle import Watchers
from ups_core.lock import locked
from ups_core.page import publish_page
from ups_core.plan import Plan, PlannedStep
from ups_core.plugin_calls import plugin_call
from ups_core.recheck import recheck
from ups_core.record import RunRecord, now, recorded_options, sound_record, write_spec
from ups_core.redaction import redacted_data
from ups_core.reuse import copy_finished, describe_changes
from ups_core.selection import Selection
from ups_core.step_directories import begin_step, put_in_place
from ups_core.step_state import state_of
from ups_core.tracking import Tracking
from ups_core.verdicts import stopped_by


class StepFailed(UPSError):
    """A step did not finish; the steps before it stay usable."""


def run_plan(plan: Plan, selection: Selection, console: Console, command: Sequence[str]) -> dict[str, Any]:
    """Run the selected steps; returns the content of `run.json`.

    The factories of all selected steps are loaded before the first step starts, so that a faulty plugin does
    not fail a run after hours of training.

    Raises:
        StepFailed: a step raised; the record says which and why.
        UPSError: another process uses this directory, or a step's factory or a tracker cannot be loaded.
        Interrupted: a signal or the time limit stopped the run.
    """
    plan = recheck(plan, console)
    foreign = next((step for step in plan.steps if step.state == "foreign"), None)
    if foreign is not None:
        raise UPSError(
            f"{foreign.problem}; use its result with --accept-others, or start a new run with --fresh"
        )
    chosen = selection.apply(plan)
    stored = sound_record(plan.directory, console)
    if not chosen and stored is not None and stored.get("status") == "completed":
        publish_page(plan, console)
        console.say(f"nothing to do: all {len(plan.steps)} steps are done in {plan.directory}")
        return stored
    for step in chosen:
        load_factory(step)
    tracking = Tracking(plan, console)
    with locked(plan.directory), interrupts.listening(plan.spec.trainer.max_time):
        return _Runner(plan, console, command, tracking).run(chosen)


class _Runner:
    """One run in progress."""

    def __init__(self, plan: Plan, console: Console, command: Sequence[str], tracking: Tracking) -> None:
        self.plan = plan
        self.console = console
        self.tracking = tracking
        self.record = RunRecord(plan, command)
        self.watchers = Watchers(plan, console)
        self.new = not self.record.path.exists()

    def run(self, chosen: Sequence[PlannedStep]) -> dict[str, Any]:
        """Prepare the data, run the steps, and close the record in any case."""
        write_spec(self.plan)
        status, stopped = "failed", False
        try:  # also around the first record: a signal that comes with it must not leave it running
            todo = [step.id for step in chosen]
            self.record.event("run_started", command=self.record.content["command"], todo=todo)
            self.record.save("running")
            self.watchers.run("running")
            self._reuse(chosen)
            self.tracking.start()
            self._prepare_data()
            for number, step in enumerate(chosen):
                if number:  # a time limit shorter than the start-up must not stop the run before any work
                    interrupts.check()
                if (gate := stopped_by(self.plan, step)) is not None:
                    self.console.say(f"step {step.id} is not run: '{gate}' did not pass", style="yellow")
                    stopped = True
                else:
                    self._step(step)
            publish_page(self.plan)
            done = all(_is_done(self.plan, step) for step in self.plan.steps)
            status = "completed" if done else "stopped" if stopped else "interrupted"
        except (KeyboardInterrupt, SystemExit):
            status = "interrupted"
            raise
        finally:
            if status in ("failed", "interrupted"):  # a step may have ended before it could say so
                self.record.statuses = dict.fromkeys(self.record.statuses, status)
            self.record.save(status)
            self.record.event(f"run_{status}")
            self.watchers.run(status)
            self.tracking.finish(status)
        self.console.say(f"{status} in {self.record.content['seconds']:.0f} s: {self.plan.directory}")
        return self.record.content

    def _reuse(self, chosen: Sequence[PlannedStep]) -> None:
        """Copy the steps of the previous run that are still valid, and report why the others are not."""
        previous = self.plan.previous
        if previous is None:
            return
        for line in describe_changes(self.plan) if self.new else ():
            self.console.say(line)
        for step in self.plan.steps:
            if step.state != "kept" or step in chosen:
                continue
            copy_finished(previous.directory, step.id, self.plan.directory)
            self.record.event("step_kept", step=step.id, source=str(previous.directory))

    def _prepare_data(self) -> None:
        for name, task in self.plan.tasks.items():
            begin = time.monotonic()
            try:
                with plugin_call("preparing them", bugs=True):
                    details = dict(task.prepare_data(self.plan.data_root, self.console))
            except UPSError as error:
                raise StepFailed(f"data of task '{name}': {error}") from None
            self.record.content["data"][name] = details
            self.record.event("data_ready", task=name, seconds=round(time.monotonic() - begin, 3), **details)
            self.console.say(f"data {name}: {details['source']}, {details['fingerprint'][:12]}")
        self.record.save("running")

    def _step(self, step: PlannedStep) -> None:
        header = {"id": step.id, "uses": step.uses, "fingerprint": step.fingerprint}
        header |= {"status": "running", "started": now()}
        partial = begin_step(self.plan.directory, header)
        self.tracking.begin(step.id)
        self._announce(step, "running")
        self.console.say(f"step {step.id} ({step.uses})", style="bold")
        begin = time.monotonic()
        try:
            launcher: Launcher = self.plan.spec.launcher.create()
            with plugin_call(str(self.plan.spec.launcher.entry), keyboard=False):
                result = launcher.run(self.plan, step, self.console)
        except (KeyboardInterrupt, SystemExit):  # Interrupted is a SystemExit
            self._announce(step, "interrupted")
            raise
        except Exception as error:
            raise self._failure(step, error, partial) from error
        self.tracking.settle()
        keyed = {f"{step.id}/{key}": value for key, value in result.metrics.items()}
        done = header | {
            "status": "completed",
            "finished": now(),
            "seconds": round(time.monotonic() - begin, 3),
            "after": list(step.after),
            "options": recorded_options(self.plan, step),
            "providers": dict(step.providers),
            "metrics": keyed,
            "verdict": result.verdict and asdict(result.verdict),
        }
        write_finished(partial, redacted_data(done, self.plan.document.environment))
        put_in_place(self.plan.directory, step.id)
        self.tracking.completed(step.id)
        self._announce(step, "completed", keyed)

    def _failure(self, step: PlannedStep, error: Exception, partial: Path) -> StepFailed:
        """One line for users; the traceback of a bug goes to a file."""
        self._announce(step, "failed")
        if isinstance(error, UPSError):
            return StepFailed(f"step '{step.id}' failed: {' '.join(str(error).split())}")
        log = partial / "error.log"
        write_text(log, self.plan.document.redacted("".join(traceback.format_exception(error))))
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return StepFailed(f"step '{step.id}' failed: {message} (traceback: {log})")

    def _announce(self, step: PlannedStep, status: str, metrics: Mapping[str, float] | None = None) -> None:
        """Update the record, the event log and the watchers."""
        self.record.statuses = {} if status == "completed" else {step.id: status}
        self.record.save("running")
        self.record.event(f"step_{status}", step=step.id, fingerprint=step.fingerprint)
        self.watchers.step(step, status, metrics)


def _is_done(plan: Plan, step: PlannedStep) -> bool:
    return state_of(plan.directory, step.id, step.fingerprint, accept_others=True)[0] == "done"
