"""The runner: does what is not done yet, one step after the other, and keeps the record true.

A step writes into `steps/.<id>.partial`, which is renamed when it is complete, so a directory without the
dot is always whole.
"""

from __future__ import annotations

import shutil
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.files import read_json, write_json, write_text
from ups_core.lock import locked
from ups_core.plan import Plan, PlannedStep, partial_directory, step_directory
from ups_core.plugins import plugins_in_use
from ups_core.record import RunRecord, now, write_spec
from ups_core.step import RunInfo, StepInfo


class StepFailed(UPSError):
    """A step did not finish; what was finished before stays usable."""


@dataclass(frozen=True)
class Selection:
    """Which steps to run: what is not done, or (`only`, `start`) some of them whatever their state."""

    only: str | None = None
    start: str | None = None

    def apply(self, plan: Plan) -> tuple[PlannedStep, ...]:
        """The steps to run, in order.

        Raises:
            UPSError: no such step, or a step before the chosen one has no finished result.
        """
        if self.only is None and self.start is None:
            return plan.todo
        first = plan.steps.index(plan.step(self.only or self.start or ""))
        chosen = plan.steps[first : first + 1] if self.only else plan.steps[first:]
        ids = {step.id for step in chosen}
        for step in chosen:
            for needed in step.after:
                if needed not in ids and plan.step(needed).state != "done":
                    raise UPSError(
                        f"step '{step.id}' needs '{needed}', which is {plan.step(needed).state}; "
                        f"run it first (--from {needed})"
                    )
        return chosen


def run_plan(plan: Plan, selection: Selection, console: Console, command: Sequence[str]) -> dict[str, Any]:
    """Run the selected steps; returns the content of `run.json`.

    Raises:
        StepFailed: a step raised; the record says which and why.
        UPSError: another process runs in this directory.
    """
    chosen = selection.apply(plan)
    if not chosen:
        stored = read_json(plan.directory / "run.json")
        if stored and stored.get("status") == "completed":
            console.say(f"nothing to do: all {len(plan.steps)} steps are done in {plan.directory}")
            return dict(stored)
    with locked(plan.directory), _terminate_as_exception():
        record = RunRecord(plan, command)
        write_spec(plan)
        record.event("run_started", command=list(command), todo=[step.id for step in chosen])
        record.save("running")
        watchers = plugins_in_use().manager.hook
        _tell(console, watchers.ups_run_started, run=_run_info(plan, "running"))
        status = "failed"
        try:
            _prepare_data(plan, record, console)
            for step in chosen:
                _run_step(plan, step, record, console)
            finished = all(
                (read_json(step_directory(plan.directory, step.id) / "step.json") or {}).get("fingerprint")
                == step.fingerprint
                for step in plan.steps
            )
            status = "completed" if finished else "interrupted"
        except (KeyboardInterrupt, SystemExit):
            status = "interrupted"
            raise
        finally:
            record.save(status)
            record.event(f"run_{status}")
            _tell(console, watchers.ups_run_finished, run=_run_info(plan, status))
    console.say(f"{status} in {record.content['seconds']:.0f} s: {plan.directory}")
    return record.content


def _prepare_data(plan: Plan, record: RunRecord, console: Console) -> None:
    for name, task in plan.tasks.items():
        begin = time.monotonic()
        try:
            details = dict(task.prepare_data(plan.data_root, console))
        except UPSError as error:
            raise StepFailed(f"data of task '{name}': {error}") from None
        record.content["data"][name] = details
        record.event("data_ready", task=name, seconds=round(time.monotonic() - begin, 3), **details)
        console.say(f"data {name}: {details['source']}, {details['fingerprint'][:12]}")
    record.save("running")


def _run_step(plan: Plan, step: PlannedStep, record: RunRecord, console: Console) -> None:
    partial = partial_directory(plan.directory, step.id)
    header = {"schema": 1, "id": step.id, "uses": f"{step.spec.role}: {step.spec.entry.name}"}
    header |= {"fingerprint": step.fingerprint, "status": "running", "started": now()}
    if (read_json(partial / "step.json") or {}).get("fingerprint") != step.fingerprint:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    write_json(partial / "step.json", header)
    record.statuses = {step.id: "running"}
    record.save("running")
    record.event("step_started", step=step.id, fingerprint=step.fingerprint)
    console.say(f"step {step.id} ({header['uses']})", style="bold")
    watchers = plugins_in_use().manager.hook
    run = _run_info(plan, "running")
    _tell(console, watchers.ups_step_started, run=run, step=_step_info(step, "running", plan))
    begin = time.monotonic()
    try:
        metrics = plan.spec.launcher.create().run(plan, step, console)
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))
        status = "interrupted" if stopped else "failed"
        record.statuses = {step.id: status}
        message = str(error) if isinstance(error, UPSError) else f"{type(error).__name__}: {error}"
        record.event(f"step_{status}", step=step.id, error="" if stopped else message)
        _tell(console, watchers.ups_step_finished, run=run, step=_step_info(step, status, plan))
        if stopped:
            raise
        hint = ""
        if not isinstance(error, UPSError):
            write_text(partial / "error.log", traceback.format_exc())
            hint = f" (traceback: {partial / 'error.log'})"
        raise StepFailed(f"step '{step.id}' failed: {' '.join(message.split())}{hint}") from error
    seconds = round(time.monotonic() - begin, 3)
    keyed = {f"{step.id}/{key}": value for key, value in metrics.items()}
    done = header | {
        "status": "completed", "finished": now(), "seconds": seconds, "after": list(step.after),
        "options": step.spec.to_dict(), "providers": dict(step.providers), "metrics": keyed,
    }  # fmt: skip
    write_json(partial / "step.json", done)
    _replace(partial, step_directory(plan.directory, step.id))
    record.statuses = {}
    record.save("running")
    record.event("step_finished", step=step.id, seconds=seconds)
    _tell(console, watchers.ups_step_finished, run=run, step=_step_info(step, "completed", plan, keyed))


def _replace(partial: Path, final: Path) -> None:
    """Rename the finished directory into place; a stale one leaves only then."""
    stale = final.with_name(f".{final.name}.stale")
    shutil.rmtree(stale, ignore_errors=True)
    if final.exists():
        final.rename(stale)
    partial.rename(final)
    shutil.rmtree(stale, ignore_errors=True)


def _run_info(plan: Plan, status: str) -> RunInfo:
    return RunInfo(plan.spec.name, plan.fingerprint, status, plan.directory)


def _step_info(
    step: PlannedStep, status: str, plan: Plan, metrics: dict[str, float] | None = None
) -> StepInfo:
    done = status == "completed"
    folder = step_directory(plan.directory, step.id) if done else partial_directory(plan.directory, step.id)
    return StepInfo(step.id, step.spec.entry.name, status, folder, metrics or {})


def _tell(console: Console, hook: Any, **details: Any) -> None:
    """Tell watching plugins; one that raises is reported and never stops the run."""
    for implementation in reversed(hook.get_hookimpls()):
        try:
            implementation.function(**{name: details[name] for name in implementation.argnames})
        except Exception as error:
            console.say(
                f"plugin {implementation.plugin_name}: {type(error).__name__}: {error}", style="yellow"
            )


@contextmanager
def _terminate_as_exception() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit(143)`, so that the record says `interrupted`."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: whoever runs it there handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
