"""One trial: an ordinary run in a process of its own.

A trial that runs out of memory or crashes the interpreter takes nothing else with it, and every trial starts
from the same fresh state.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from ups_core.errors import UPSError
from ups_core.files import read_json
from ups_core.interrupts import OUT_OF_TIME, SIGNALS, Interrupted
from ups_core.lock import locked
from ups_core.plan import Plan
from ups_core.record import write_spec

GRACE = 10.0
"""Seconds that a trial has to stop by itself after Ctrl+C, which a terminal sends to it too."""

INTERRUPTED = {OUT_OF_TIME, *(128 + number for number in SIGNALS), *(-number for number in SIGNALS)}
"""Exit codes of a run that was asked to stop."""


class TrialFailed(UPSError):
    """The run ended without a value; the study goes on."""


def known_value(plan: Plan, metric: str) -> float | None:
    """The metric of a run whose steps are all done; None where there is something to run.

    Raises:
        TrialFailed: the metric is not finite.
        UPSError: a finished run has no such metric.
    """
    metrics = (read_json(plan.directory / "run.json") or {}).get("metrics", {})
    if plan.todo or not metrics:
        return None
    if metric not in metrics:
        raise UPSError(f"{plan.directory} has no metric '{metric}'; metrics: {', '.join(metrics)}")
    if metrics[metric] is None:
        raise TrialFailed(f"{metric} is not finite: the rollout diverged")
    return float(metrics[metric])


def run_trial(plan: Plan, log: Path) -> None:
    """Run the plan, or go on with it; what it prints goes to `log`.

    Raises:
        TrialFailed: with the run's own message.
        UPSError: the run is under way in another process.
        Interrupted: somebody stopped the run.
    """
    with locked(plan.directory):
        write_spec(plan)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "ups_core.cli.run", str(plan.directory / "spec.yaml"),
        "--runs-dir", str(plan.directory.parent), "--data-root", str(plan.data_root),
    ]  # fmt: skip
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        code = _wait(process)
    if code in INTERRUPTED:
        raise Interrupted(code if code > 0 else 128 - code)
    if code != 0:
        raise TrialFailed(_reason(code, log))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end; when this process is told to stop, stop the other first."""
    try:
        return process.wait()
    except BaseException as stop:
        try:
            process.wait(GRACE if isinstance(stop, Interrupted) and stop.code == 128 + signal.SIGINT else 0)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise


def _reason(code: int, log: Path) -> str:
    """The run's last word."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; its output is in {log}"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [f"ended with code {code} and said nothing"])[-1]
