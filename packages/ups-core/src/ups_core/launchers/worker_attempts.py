"""What all launchers of worker processes share: attempts, their failures, the result.

Every attempt ends in one of three ways: a result in `result.json`, a failure in `failure.json`, or a request
for another attempt (:class:`ups_core.errors.RestartRequested`), for instance with smaller micro-batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.interrupts import Interrupted
from ups_core.layout import clear, partial_directory
from ups_core.plan import Plan, PlannedStep
from ups_core.reading import UnsoundFile
from ups_core.step import StepResult
from ups_core.worker_report import FAILURE, RESULT, Failure, read_failure, read_result


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
    _drop_damaged_result(directory, console)
    while not (directory / RESULT).exists():
        clear(directory / FAILURE)
        ended = attempt()
        reported = read_failure(directory) or Failure()
        # Ranks may have finished while others were already stopping: then there is a result.
        if reported.stopped is not None and not (directory / RESULT).exists():
            raise Interrupted(reported.stopped)
        if ended is None:
            break
        message = reported.message or ended.message
        if not reported.again:
            rank = ended.rank if reported.rank is None else reported.rank
            where = "" if rank is None else f"rank {rank} of {plan.spec.trainer.devices}: "
            raise UPSError(f"{where}{message}")
        console.say(f"  {message}")
    result = read_result(directory)
    (directory / RESULT).unlink()  # the runner records it in step.json
    for pattern in (FAILURE, "error-rank*.log"):  # left by attempts before the one that succeeded
        for file in directory.glob(pattern):
            clear(file)
    return result


def _drop_damaged_result(directory: Path, console: Console) -> None:
    """Delete a result of earlier workers that cannot be read, so that workers are started again."""
    if not os.path.lexists(directory / RESULT):
        return
    try:
        read_result(directory)
    except UnsoundFile as error:
        console.say(f"  {error}; starting the workers again", style="yellow")
        clear(directory / RESULT)
