"""`ups eval`: print the numbers of finished runs, or render a report again."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console as RichConsole

from ups_core import UPSError
from ups_core.base_configs import CommandConfig
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_core.finished_step import FinishedStep
from ups_core.run_file import read_run
from ups_eval.results import Results
from ups_eval.tables import rich_headline


class EvalCommand:
    """Print the numbers of finished runs, or render their reports again."""

    help = "print numbers of finished runs, render their reports again"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        show = actions.add_parser("show", help="print nRMSE of every task, model and baseline")
        show.add_argument(
            "run", type=user_path, metavar="RUN_DIR", help="a run directory, which contains run.json"
        )
        show.add_argument("--json", action="store_true", help="print metrics.json of every evaluation step")
        report = actions.add_parser("report", help="write report/index.html of runs again")
        report.add_argument("runs", type=user_path, nargs="+", metavar="RUN_DIR", help="a run directory")
        report.add_argument("--title", help="heading of the page; default: the name of the run")
        report.add_argument("--no-animation", action="store_true", help="omit animated rollouts")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Execute the action; results go to standard output.

        Raises:
            UPSError: RUN_DIR is not a run directory, or nothing in it has been scored.
        """
        if args.action == "report":
            from ups_eval.report.render import write_report

            for run in args.runs:
                print(write_report(run, title=args.title, animate=not args.no_animation))
            return 0
        found = read_results(args.run)
        if args.json:
            print_json({step: results.to_dict() for step, (_, results) in found.items()})
            return 0
        output = RichConsole(soft_wrap=True, highlight=False)
        for step, (_, results) in found.items():
            output.print(rich_headline(results, f"{step} ({results.split} split)"))
        return 0


def read_results(run_directory: Path) -> dict[str, tuple[Path, Results]]:
    """Step id -> its directory and results, for every scored step of a run, in the order of the run.

    Raises:
        UPSError: it is not a run directory, a file of it is damaged, or nothing in it has been scored.
    """
    found = {}
    for step in read_run(run_directory).steps:
        if step.status == "completed":
            finished = FinishedStep.read(run_directory, step.id)
            if (results := Results.read(finished)) is not None:
                found[step.id] = (finished.directory, results)
    if not found:
        raise UPSError(f"no step of {run_directory} has been scored; add 'evaluate: rollout' to the spec")
    return found
