"""`ups status`: which runs there are, how far each is, and what it has reached."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ups_core.cli.options import RUNS_DIR, user_path
from ups_core.cli.output import print_json, print_table, rich_table
from ups_core.console import Console
from ups_core.errors import UsageError
from ups_core.run_status import RunStatus, run_statuses

REFRESH = 2.0
"""Seconds between two looks of `--watch`."""
COLUMNS = ("run", "state", "step", "progress", "left", "best validation", "scores", "changed")

EXAMPLES = """\
examples:
  ups status                      the runs of ./runs, the last one that changed first
  ups status runs/smoke-1a2b3c4d  one run
  ups status runs/tune-x/trials   the trials of a study
  ups status --watch              refresh every 2 s until Ctrl+C
  ups status --json               for programs

states:
  running      its process is alive
  killed       its process is gone without a word (a kill, a crash); the same ups-run command resumes it
  interrupted  stopped on request or by trainer.max_time; the same command resumes it
  failed       a step failed; events.jsonl and the message of the command say why
  stopped      a gate did not pass, so that later steps were not run
  completed    all steps are done
  damaged      its record cannot be read; the reason is printed, and rerunning its command writes it again

'left' is the time that the training step still takes at its present speed, 'scores' the nRMSE of every task.
"""


class StatusCommand:
    """List the runs of a directory: state, step, progress, time left, best validation and scores."""

    help = "runs with state, progress, time left and scores"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument(
            "runs_dir",
            nargs="?",
            type=user_path,
            default=RUNS_DIR,
            metavar="RUNS_DIR",
            help="directory of run directories, or one run directory (default: %(default)s)",
        )
        parser.add_argument(
            "--watch",
            nargs="?",
            type=float,
            const=REFRESH,
            metavar="SECONDS",
            help=f"refresh in the terminal until Ctrl+C (default: every {REFRESH:g} s)",
        )
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the runs once, or until Ctrl+C."""
        if args.watch is not None:
            if args.json or not sys.stdout.isatty():
                raise UsageError("--watch needs a terminal; omit it, or call 'ups status --json' repeatedly")
            if args.watch <= 0:
                raise UsageError(f"--watch {args.watch:g} is not a positive number of seconds")
            _watch(args.runs_dir, args.watch)
            return 0
        runs = run_statuses(args.runs_dir)
        if args.json:
            print_json([run.to_dict() for run in runs])
        elif runs:
            print_table(COLUMNS, list(map(_row, runs)))
        else:
            print(f"no runs in {args.runs_dir}")
        return 0


def _watch(folder: Path, seconds: float) -> None:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        try:
            while True:
                live.update(rich_table(COLUMNS, list(map(_row, run_statuses(folder)))), refresh=True)
                time.sleep(seconds)
        except KeyboardInterrupt:
            return


def _row(run: RunStatus) -> tuple[str, ...]:
    changed = f"{duration(time.time() - run.updated)} ago"
    if run.problem:
        return (run.directory.name, run.state, run.problem, "", "", "", "", changed)
    left = run.seconds_left
    return (
        run.directory.name,
        run.state,
        f"{run.step or '-'} ({run.done} of {run.steps} done)",
        _progress(run),
        "-" if left is None else duration(left),
        _values(run.best),
        _values(run.scores),
        changed,
    )


def _progress(run: RunStatus) -> str:
    training = run.training
    if training is None:
        return "-"
    steps = f"{training.step:,}" + (f"/{training.steps:,}" if training.steps is not None else "")
    return f"{training.done:.0%}, step {steps}, epoch {training.epoch}"


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in values.items()) or "-"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `5 h 04 min`, `2 d 3 h`."""
    total = max(0, round(seconds))
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min {total % 60:02} s" if minutes else f"{total} s"
