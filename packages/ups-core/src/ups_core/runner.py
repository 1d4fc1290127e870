"""The runner: executes the steps that are not done yet, in order, and keeps the record up to date.

A step writes into `steps/.<id>.partial`, which is renamed when it is complete, so a directory without the
dot is always complete.
"""

from __future__ import annotations

import shutil
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
from ups_core.files import read_json, write_json, write_text
from ups_core.launcher import Launcher
from ups_core.layout import is_done, partial_directory, step_directory
from ups_core.lifecycle import Watchers
from ups_core.lock import locked
from ups_core.plan import Plan, PlannedStep
from ups_core.record import RunRecord, now, recorded_options, write_spec
from ups_core.reuse import copy_finished, describe_changes
from ups_core.selection import Selection


class StepFailed(UPSError):
    """A step did not finish; the steps before it stay usable."""


def run_plan(plan: Plan, selection: Selection, console: Console, command: Sequence[str]) -> dict[str, Any]:
    """Run the selected steps; returns the content of `run.json`.

    The factories of all selected steps are loaded before the first step starts, so that a faulty plugin does
    not fail a run after hours of training.

    Raises:
        StepFailed: a step raised; the record says which and why.
        UPSError: another process uses this directory, or a step's factory cannot be loaded.
        Interrupted: a signal or the time limit stopped the run.
    """
    chosen = selection.apply(plan)
    if not chosen:
        stored = read_json(plan.directory / "run.json")
        if stored and stored.get("status") == "completed":
            console.say(f"nothing to do: all {len(plan.steps)} steps are done in {plan.directory}")
            return dict(stored)
    for step in chosen:
        load_factory(step)
    with locked(plan.directory), interrupts.listening(plan.spec.trainer.max_time):
        return _Runner(plan, console, command).run(chosen)


class _Runner:
    """One run in progress."""

    def __init__(self, plan: Plan, console: Console, command: Sequence[str]) -> None:
        self.plan = plan
        self.console = console
        self.record = RunRecord(plan, command)
        self.watchers = Watchers(plan, console)
        self.new = not self.record.path.exists()

    def run(self, chosen: Sequence[PlannedStep]) -> dict[str, Any]:
        """Prepare the data, run the steps, and close the record in any case."""
        write_spec(self.plan)
        self.record.event("run_started", command=self.record.content["command"], todo=[s.id for s in chosen])
        self.record.save("running")
        self.watchers.run("running")
        status = "failed"
        try:
            self._reuse(chosen)
            self._prepare_data()
            for step in chosen:
                interrupts.check()
                self._step(step)
            done = all(is_done(self.plan.directory, step.id, step.fingerprint) for step in self.plan.steps)
            status = "completed" if done else "interrupted"
        except (KeyboardInterrupt, SystemExit):
            status = "interrupted"
            raise
        finally:
            self.record.save(status)
            self.record.event(f"run_{status}")
            self.watchers.run(status)
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
            target = step_directory(self.plan.directory, step.id)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_finished(step_directory(previous.directory, step.id), target)
            self.record.event("step_kept", step=step.id, source=str(previous.directory))

    def _prepare_data(self) -> None:
        for name, task in self.plan.tasks.items():
            begin = time.monotonic()
            try:
                details = dict(task.prepare_data(self.plan.data_root, self.console))
            except UPSError as error:
                raise StepFailed(f"data of task '{name}': {error}") from None
            self.record.content["data"][name] = details
            self.record.event("data_ready", task=name, seconds=_since(begin), **details)
            self.console.say(f"data {name}: {details['source']}, {details['fingerprint'][:12]}")
        self.record.save("running")

    def _step(self, step: PlannedStep) -> None:
        partial = partial_directory(self.plan.directory, step.id)
        header = {"schema": 1, "id": step.id, "uses": step.uses, "fingerprint": step.fingerprint}
        header |= {"status": "running", "started": now()}
        if (read_json(partial / "step.json") or {}).get("fingerprint") != step.fingerprint:
            # Made with other options, data or code: it cannot be resumed.
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, exist_ok=True)
        write_json(partial / "step.json", header)
        self._announce(step, "running")
        self.console.say(f"step {step.id} ({step.uses})", style="bold")
        begin = time.monotonic()
        launcher: Launcher = self.plan.spec.launcher.create()
        try:
            result = launcher.run(self.plan, step, self.console)
        except (KeyboardInterrupt, SystemExit):  # Interrupted is a SystemExit
            self._announce(step, "interrupted")
            raise
        except Exception as error:
            raise self._failure(step, error, partial) from error
        keyed = {f"{step.id}/{key}": value for key, value in result.metrics.items()}
        done = header | {
            "status": "completed",
            "finished": now(),
            "seconds": _since(begin),
            "after": list(step.after),
            "options": recorded_options(self.plan, step),
            "providers": dict(step.providers),
            "metrics": keyed,
            "verdict": result.verdict and asdict(result.verdict),
        }
        write_json(partial / "step.json", done)
        _replace(partial, step_directory(self.plan.directory, step.id))
        self._announce(step, "completed", keyed)

    def _failure(self, step: PlannedStep, error: Exception, partial: Path) -> StepFailed:
        """One line for users; the traceback of a bug goes to a file."""
        self._announce(step, "failed")
        if isinstance(error, UPSError):
            return StepFailed(f"step '{step.id}' failed: {' '.join(str(error).split())}")
        log = partial / "error.log"
        write_text(log, "".join(traceback.format_exception(error)))
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return StepFailed(f"step '{step.id}' failed: {message} (traceback: {log})")

    def _announce(self, step: PlannedStep, status: str, metrics: Mapping[str, float] | None = None) -> None:
        """Update the record, the event log and the watchers."""
        self.record.statuses = {} if status == "completed" else {step.id: status}
        self.record.save("running")
        self.record.event(f"step_{status}", step=step.id, fingerprint=step.fingerprint)
        self.watchers.step(step, status, metrics)


def _since(begin: float) -> float:
    return round(time.monotonic() - begin, 3)


def _replace(partial: Path, final: Path) -> None:
    """Rename the finished directory into place; a stale one is removed only then."""
    # A directory cannot be renamed onto one that is not empty. Between the two renames there is no
    # finished step, so a process that is killed here runs the step again.
    stale = final.with_name(f".{final.name}.stale")
    shutil.rmtree(stale, ignore_errors=True)
    if final.exists():
        final.rename(stale)
    partial.rename(final)
    shutil.rmtree(stale, ignore_errors=True)
