"""Running one step, in this process or as `python -m ups_core.worker RUN_DIR STEP --data-root DIR`.

A launcher that needs several processes starts this module once per rank; the pipeline itself is never
re-entered.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from ups_core import stopping
from ups_core.config import Config
from ups_core.console import Console
from ups_core.errors import TryAgain, UPSError
from ups_core.files import read_json, write_json, write_text
from ups_core.plan import Plan, PlannedStep, make_plan, partial_directory, step_directory
from ups_core.step import Step, StepContext
from ups_core.validate import load_spec

RESULT = "result.json"
FAILURE = "failure.json"
IN_PROCESS = "in this process"
"""What a launcher says of a step that it starts no other process for."""


class Launcher(Protocol):
    """How steps are started; what `ups_register_launchers` registers creates one."""

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> Mapping[str, float]:
        """Execute the step, wherever that is; returns its metrics.

        What the step leaves must be in its partial directory then.

        Raises:
            UPSError: the step failed; the message is one line for people.
        """
        ...

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """What :meth:`run` would start or submit, for `ups-run --dry-run`; changes nothing."""
        ...


class LocalLauncherConfig(Config):
    """The local launcher has no options."""

    max_devices: ClassVar[int] = 1
    """More than one device takes one process each, which this launcher does not start."""


class LocalLauncher:
    """Runs a step in the runner's own process."""

    def __init__(self, config: LocalLauncherConfig):
        self.config = config

    def run(self, plan: Plan, step: PlannedStep, console: Console) -> Mapping[str, float]:
        """Execute the step; returns its metrics."""
        return execute(plan, step, console)

    def describe(self, plan: Plan, step: PlannedStep) -> str:
        """There is nothing to submit."""
        return IN_PROCESS


def execute(plan: Plan, step: PlannedStep, console: Console) -> Mapping[str, float]:
    """Create the step's component and run it in the step's partial directory.

    Raises:
        UPSError: what the step raises for people; other exceptions pass through.
    """
    component = step.spec.entry.load()(step.spec.config)
    if not isinstance(component, Step):
        raise UPSError(f"'{step.spec.entry.name}' has no method run(context); see ups_core.step.Step")
    earlier = plan.steps[: plan.steps.index(step)]
    context = StepContext(
        spec=plan.spec,
        step_id=step.id,
        directory=partial_directory(plan.directory, step.id),
        inputs={artifact: step_directory(plan.directory, name) for artifact, name in step.inputs.items()},
        models={
            other.id: step_directory(plan.directory, other.id)
            for other in earlier
            if "simulator" in other.spec.config.produces
        },
        run_directory=plan.directory,
        data_root=plan.data_root,
        tasks=plan.tasks,
        console=console,
        fingerprint=step.fingerprint,
    )
    return {key: float(value) for key, value in component.run(context).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one step of an existing run directory as one rank of several.

    Rank 0 speaks and leaves the metrics in `result.json` beside the step's other files; the first rank that
    fails leaves the reason in `failure.json`.
    """
    parser = argparse.ArgumentParser(prog="python -m ups_core.worker", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("step")
    parser.add_argument("--data-root", type=Path, required=True)
    given = parser.parse_args(arguments)
    rank = int(os.environ.get("RANK", 0))
    directory = partial_directory(given.run_dir, given.step)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        spec, document = load_spec(given.run_dir / "spec.yaml")
        plan = make_plan(
            spec, document,
            runs_dir=given.run_dir.parent, data_root=given.data_root, directory=given.run_dir,
        )  # fmt: skip
        step = plan.step(given.step)
        directory.mkdir(parents=True, exist_ok=True)
        with stopping.listening(spec.trainer.max_time):
            metrics = execute(plan, step, Console(quiet=rank > 0))
        if rank == 0:
            write_json(directory / RESULT, metrics)
    except stopping.Interrupted as stop:
        _tell(directory, rank, str(stop), stopped=stop.code)
        return stop.code
    except TryAgain as error:
        _tell(directory, rank, str(error), again=True)
        return error.exit_code
    except UPSError as error:
        _tell(directory, rank, str(error))
        return error.exit_code
    except Exception as error:
        log = directory / f"error-rank{rank}.log"
        write_text(log, "".join(traceback.format_exception(error)))
        _tell(directory, rank, " ".join(f"{type(error).__name__}: {error} (traceback: {log})".split()))
        return 1
    return 0


def _end_with(parent: int) -> None:
    """End when whoever started this process is gone: nobody would keep a second run away from its files."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _tell(directory: Path, rank: int, message: str, **details: int) -> None:
    """Leave the message for the launcher, or print it where there is none.

    The first rank that fails is the one to hear: what the others see is that it is gone.
    """
    if "RANK" not in os.environ:
        print(f"error: {message}", file=sys.stderr)
        return
    attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
    told = read_json(directory / FAILURE)
    if told is None or told["attempt"] < attempt:
        write_json(directory / FAILURE, {"rank": rank, "attempt": attempt, "message": message, **details})


if __name__ == "__main__":
    code = main()
    asked = code == stopping.OUT_OF_TIME or code > 128
    # A rank that stopped when asked is no failure, after which torchrun would start all again.
    sys.exit(0 if asked and "RANK" in os.environ else code)
