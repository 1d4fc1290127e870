"""What all launchers of worker processes share: try, hear what went wrong, collect the result.

Kept apart because every launcher ends a step in the same three ways: metrics in `result.json`, a reason in
`failure.json`, or a request for another try, say with smaller micro-batches (:mod:`ups_train.memory`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ups_core import UPSError
from ups_core.console import Console
from ups_core.files import read_json
from ups_core.plan import Plan, PlannedStep, partial_directory
from ups_core.stopping import Interrupted
from ups_core.worker import FAILURE, RESULT


class Ended(NamedTuple):
    """How an attempt failed, as far as the launcher can see; what a rank says goes before it."""

    message: str
    rank: int | None = None


def worker_module(run_directory: Path | str, step: str, data_root: Path | str) -> list[str]:
    """What follows `python`: the step worker and its arguments."""
    return ["-m", "ups_core.worker", str(run_directory), step, "--data-root", str(data_root)]


def run_attempts(
    plan: Plan, step: PlannedStep, console: Console, attempt: Callable[[], Ended | None]
) -> Mapping[str, float]:
    """Call `attempt`, which runs the step's workers, until they succeed; returns the step's metrics.

    An attempt that prepared another one (:class:`ups_core.TryAgain`) is followed by it. A result that is
    there already is of workers that ended while nobody waited.

    Raises:
        UPSError: an attempt failed.
        Interrupted: the workers were asked to stop, and did.
    """
    directory = partial_directory(plan.directory, step.id)
    while not (directory / RESULT).exists():
        (directory / FAILURE).unlink(missing_ok=True)
        ended = attempt()
        told = read_json(directory / FAILURE) or {}
        if "stopped" in told and not (directory / RESULT).exists():
            raise Interrupted(told["stopped"])
        if ended is None:
            break
        message = told.get("message", ended.message)
        if not told.get("again"):
            rank = told.get("rank", ended.rank)
            where = "" if rank is None else f"rank {rank} of {plan.spec.trainer.devices}: "
            raise UPSError(f"{where}{message}")
        console.say(f"  {message}")
    metrics = {key: float(value) for key, value in read_json(directory / RESULT).items()}
    (directory / RESULT).unlink()  # the runner keeps them
    for told_before in (FAILURE, "error-rank*.log"):  # by attempts before the one that succeeded
        for file in directory.glob(told_before):
            file.unlink()
    return metrics
