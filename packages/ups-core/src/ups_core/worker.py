"""Runs one step as one rank: `python -m ups_core.worker RUN_DIR STEP --data-root DIR`.

A launcher that needs several processes starts this module once per rank; the pipeline itself is never
re-entered.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from ups_core import interrupts
from ups_core.console import Console
from ups_core.cpus import share_cores
from ups_core.errors import RestartRequested, UPSError
from ups_core.execution import execute
from ups_core.files import write_json, write_text
from ups_core.layout import partial_directory
from ups_core.planner import make_plan
from ups_core.validate import load_spec
from ups_core.worker_report import FAILURE, read_failure, write_result


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one step of an existing run directory as one rank of several.

    Rank 0 reports progress and leaves the result in `result.json` beside the step's other files; the first
    rank that fails leaves the reason in `failure.json`.
    """
    share_cores()
    parser = argparse.ArgumentParser(prog="python -m ups_core.worker", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("step")
    parser.add_argument("--data-root", type=Path, required=True)
    given = parser.parse_args(arguments)
    rank = int(os.environ.get("RANK", 0))
    directory = partial_directory(given.run_dir, given.step)
    redact: Callable[[str], str] = str
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        spec, document = load_spec(given.run_dir / "spec.yaml")
        redact = document.redacted
        plan = make_plan(
            spec,
            document,
            runs_dir=given.run_dir.parent,
            data_root=given.data_root,
            directory=given.run_dir,
        )
        step = plan.step(given.step)
        directory.mkdir(parents=True, exist_ok=True)
        with interrupts.listening(spec.trainer.max_time):
            console = Console(quiet=rank > 0)
            console.redact = redact
            result = execute(plan, step, console)
        if rank == 0:
            write_result(directory, result)
    except interrupts.Interrupted as stop:
        _report(directory, rank, str(stop), stopped=stop.code)
        return stop.code
    except RestartRequested as error:
        _report(directory, rank, redact(str(error)), again=True)
        return error.exit_code
    except UPSError as error:
        _report(directory, rank, redact(str(error)))
        return error.exit_code
    except Exception as error:
        log = directory / f"error-rank{rank}.log"
        write_text(log, redact("".join(traceback.format_exception(error))))
        message = " ".join(f"{type(error).__name__}: {error}".split())
        _report(directory, rank, f"{redact(message)} (traceback: {log})")
        return 1
    return 0


def _end_with(parent: int) -> None:
    """Exit when the parent process has ended: its lock kept a second run out of the directory."""
    # Polling works on every system; prctl(PR_SET_PDEATHSIG) would be Linux only and bound to a thread.
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)  # sys.exit would end this thread only


def leave(code: int) -> NoReturn:
    """End this process without finalising the interpreter.

    The threads of torch's gloo groups may still release tensors that Python knows. During finalisation they
    cannot get its lock, and the process aborts although its work is done (pytorch/pytorch#179291).
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _report(directory: Path, rank: int, message: str, **details: int) -> None:
    """Leave the message for the launcher, or print it where there is none.

    Only the first rank that fails is reported: the others fail as a consequence.
    """
    if "RANK" not in os.environ:
        print(f"error: {message}", file=sys.stderr)
        return
    attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))  # torch elastic restarts all ranks
    reported = read_failure(directory)
    if reported is None or reported.attempt < attempt:
        write_json(directory / FAILURE, {"rank": rank, "attempt": attempt, "message": message, **details})


if __name__ == "__main__":
    code = main()
    asked = code == interrupts.OUT_OF_TIME or code > 128
    # A rank that stopped on request has not failed; after a failure torchrun would restart all ranks.
    leave(0 if asked and "RANK" in os.environ else code)
