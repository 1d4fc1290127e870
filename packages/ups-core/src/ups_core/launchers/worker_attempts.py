"""What all launchers of worker processes share: attempts, their failures, the result.

Every attempt ends in one of three ways: a result in `result.json`, a failure in `failure.json`, or a request
for another attempt (:class:`ups_core.errors.RestartRequested`), for instance with smaller micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.interrupts import Interrupted
from ups_core.launcher import FAILURE, RESULT
from ups_core.layout import partial_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.reading import read_json
from ups_core.step import StepResult


class Ended(NamedTuple):
    """How an attempt failed, as seen by the launcher; the message of a rank takes precedence."""

    message: str
    rank: int | None = None


def worker_module(run_directory: Path | str, step: str, data_root: Path | str) -> list[str]:
    """The arguments of `python` that run the step worker."""
    return ["-m", "ups_core.worker", str(run_directory), step, "--data-root", str(data_root)]


def run_attempts(
    plan: Plan, step: PlannedStep, console: Console, attempt: Callable[[], Ended | None]
) -> StepResult:
    """Call `attempt`, which runs the step's workers, until they succeed; returns the step's result.

    An attempt that requested a restart is followed by another one. A result that exists already was left by
    workers that ended while no launcher was waiting.

    Raises:
        UPSError: an attempt failed.
        Interrupted: the workers were asked to stop and did.
    """
    directory = partial_directory(plan.directory, step.id)
    while not (directory / RESULT).exists():
        (directory / FAILURE).unlink(missing_ok=True)
        ended = attempt()
        reported = read_json(directory / FAILURE) or {}
        # Ranks may have finished while others were already stopping: then there is a result.
        if "stopped" in reported and not (directory / RESULT).exists():
            raise Interrupted(reported["stopped"])
        if ended is None:
            break
        message = reported.get("message", ended.message)
        if not reported.get("again"):
            rank = reported.get("rank", ended.rank)
            where = "" if rank is None else f"rank {rank} of {plan.spec.trainer.devices}: "
            raise UPSError(f"{where}{message}")
        console.say(f"  {message}")
    result = StepResult.from_dict(read_json(directory / RESULT))
    (directory / RESULT).unlink()  # the runner records it in step.json
    for pattern in (FAILURE, "error-rank*.log"):  # left by attempts before the one that succeeded
        for file in directory.glob(pattern):
            file.unlink()
    return result
