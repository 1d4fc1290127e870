"""`ups eval`: read a finished run's numbers, or render its report again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console as RichConsole

from ups_core import UPSError
from ups_core.console import Console
from ups_core.files import read_json
from ups_eval.config import CommandConfig
from ups_eval.results import Results
from ups_eval.tables import rich_headline


class EvalCommand:
    """The command `ups eval show|report RUN_DIR`."""

    help = "show a finished run's numbers or render its report again"

    def __init__(self, config: CommandConfig | None = None):
        pass

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the two actions."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        show = actions.add_parser("show", help="print nRMSE of every task, model and baseline")
        show.add_argument("run", type=Path, metavar="RUN_DIR", help="a run directory (it holds run.json)")
        show.add_argument("--json", action="store_true", help="print metrics.json of every evaluation step")
        report = actions.add_parser("report", help="write RUN_DIR/report/index.html again")
        report.add_argument("run", type=Path, metavar="RUN_DIR", help="a run directory (it holds run.json)")
        report.add_argument("--title", help="heading of the page; default: the run's name")
        report.add_argument("--no-animation", action="store_true", help="leave animated rollouts out")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Carry out the action; results go to standard output.

        Raises:
            UPSError: RUN_DIR is no run, or nothing in it has been scored.
        """
        if args.action == "report":
            from ups_eval.report.render import write_report

            print(write_report(args.run, title=args.title, animate=not args.no_animation))
            return 0
        found = read_results(args.run)
        if args.json:
            print(
                json.dumps(
                    {step: read_json(directory / "metrics.json") for step, (directory, _) in found.items()}
                )
            )
            return 0
        output = RichConsole(soft_wrap=True, highlight=False)
        for step, (_, results) in found.items():
            output.print(rich_headline(results, f"{step} ({results.split} split)"))
        return 0


def read_results(run_directory: Path) -> dict[str, tuple[Path, Results]]:
    """Step id -> its directory and results, for every scored step of a run, in the order of the run.

    Raises:
        UPSError: the directory is no run, or nothing in it has been scored.
    """
    record = read_json(run_directory / "run.json")
    if not isinstance(record, dict):
        raise UPSError(f"{run_directory} is no run directory: it has no readable run.json")
    found = {}
    for step in record.get("steps", []):
        directory = run_directory / "steps" / step["id"]
        if step.get("status") == "completed" and (results := Results.read(directory)) is not None:
            found[step["id"]] = (directory, results)
    if not found:
        raise UPSError(f"no step of {run_directory} has been scored; the spec needs 'evaluate: rollout'")
    return found
