"""One trial: an ordinary run in its own process.

A trial that runs out of memory or crashes the interpreter cannot affect others, and every trial starts from
the same state.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from ups_core.errors import UPSError
from ups_core.files import open_own
from ups_core.finished_step import FinishedStep
from ups_core.interrupts import OUT_OF_TIME, SIGNALS, Interrupted
from ups_core.lock import locked
from ups_core.plan import Plan
from ups_core.record import write_spec
from ups_core.step import FAILED_VERDICT

GRACE = 10.0
"""Seconds for a trial to stop by itself after Ctrl+C, which a terminal sends to all its processes."""

INTERRUPTED = {OUT_OF_TIME, *(128 + number for number in SIGNALS), *(-number for number in SIGNALS)}
"""Exit codes of a run that was asked to stop."""


class TrialFailed(UPSError):
    """The run ended without a value; the study continues."""


def known_value(plan: Plan, metric: str) -> float | None:
    """The metric of a run whose steps are all done; None where a step is missing.

    Raises:
        TrialFailed: the metric is not finite.
        UPSError: a finished run has no such metric.
    """
    if plan.todo:
        return None
    finished = (FinishedStep.read(plan.directory, step.id) for step in plan.steps)
    metrics = {key: value for step in finished for key, value in step.record.metrics.items()}
    if metric not in metrics:
        raise UPSError(f"{plan.directory} has no metric '{metric}'; metrics: {', '.join(metrics)}")
    if (value := metrics[metric]) is None:
        raise TrialFailed(f"{metric} is not finite: the rollout diverged")
    return value


def run_trial(plan: Plan, log: Path) -> None:
    """Run or resume the plan; its output goes to `log`.

    Raises:
        TrialFailed: with the run's own message.
        UPSError: the run is in progress in another process.
        Interrupted: the run was stopped.
    """
    with locked(plan.directory):
        write_spec(plan)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ups_core.cli.run", str(plan.directory / "spec.yaml")]
    command += ["--runs-dir", str(plan.directory.parent), "--data-root", str(plan.data_root)]
    with open_own(log, "w") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        code = _wait(process)
    if code in INTERRUPTED:
        raise Interrupted(code if code > 0 else 128 - code)
    if code not in (0, FAILED_VERDICT):  # a negative verdict comes after all steps, with the metrics
        raise TrialFailed(_reason(code, log))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end; when this process is asked to stop, stop the trial first."""
    try:
        return process.wait()
    except BaseException as stop:
        # Ctrl+C has reached the trial already, and a second signal would keep it from saving.
        try:
            process.wait(GRACE if isinstance(stop, Interrupted) and stop.code == 128 + signal.SIGINT else 0)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise


def _reason(code: int, log: Path) -> str:
    """The last message of the run."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; its output is in {log}"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [f"ended with code {code} without any output"])[-1]
