"""`ups compare`: runs side by side, with what exceeds the noise."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ups_core.base_configs import CommandConfig
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json, print_table
from ups_core.console import Console
from ups_core.files import write_text
from ups_eval.bootstrap import Estimate
from ups_eval.compare.arms import Arm, lines, load, spec_differences
from ups_eval.compare.differences import differences
from ups_eval.tables import DASH, format_number, metric_label

EXAMPLES = """\
Runs whose specs differ by seed alone are one arm. The first arm is the reference of the others. Differences
are paired by trajectory; the verdict takes trajectories and seeds into account.

examples:
  ups compare runs/a-1f runs/b-2e               is b better than a?
  ups compare runs/a-*                          mean and spread over the seeds of a
  ups compare runs/a-* runs/b-* -o page.html    curves and tables on one page
"""
SHOWN = 20
"""Differences between specs that are printed."""


class CompareCommand:
    """Compare runs: differences, whether they exceed the noise, and what differs in the specs."""

    help = "compare runs: differences, whether they exceed the noise, what differs in the specs"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument("runs", type=user_path, nargs="+", metavar="RUN", help="a run directory")
        parser.add_argument("--metric", default="nrmse", help="what to compare (default: nrmse)")
        parser.add_argument("-o", "--output", type=user_path, metavar="PAGE", help="write one page too")
        parser.add_argument("--json", action="store_true", help="print everything as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the scores of all arms, then the differences from the first.

        Raises:
            UPSError: a directory is not a scored run, or a run is given twice.
        """
        arms = load(args.runs)
        if args.output is not None:
            from ups_eval.compare.page import render  # needs jinja2 and matplotlib

            write_text(args.output, render(arms, args.metric))
            console.say(f"page: {args.output}")
        if args.json:
            print_json(to_dict(arms, args.metric))
        else:
            print_arms(arms, args.metric)
        return 0


def print_arms(arms: Sequence[Arm], metric: str = "nrmse") -> None:
    """Scores, differences and changes of the spec as text."""
    rows = [
        (
            line.arm,
            line.task,
            line.model,
            format_number(line.estimate.value),
            format_number(line.std),
            interval(line.estimate),
            " ".join(map(format_number, line.values)),
        )
        for arm in arms
        for line in lines(arm, metric)
    ]
    heads = (
        "run",
        "task",
        "model",
        f"mean {metric_label(metric)}",
        "std over seeds",
        "95 % over trajectories",
        "seeds",
    )
    print_table(heads, rows)
    for arm in arms[1:]:
        print(f"\n{arm.label} against {arms[0].label}:")
        compared = [
            (
                item.task,
                f"×{format_number(item.together.value)}",
                interval(item.trajectories),
                interval(item.seeds),
                interval(item.together),
                item.verdict,
            )
            for item in differences(arms[0], arm, metric)
        ]
        if compared:
            print_table(
                ("task", "ratio", "over trajectories", "over seeds", "over both", "verdict"), compared
            )
        else:
            print("  no task was scored on the same trajectories")
        changed = spec_differences(arms[0], arm)
        for change in changed[:SHOWN]:
            print(f"  {change}")
        if len(changed) > SHOWN:
            print(f"  and {len(changed) - SHOWN} more")


def to_dict(arms: Sequence[Arm], metric: str) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "metric": metric,
        "arms": [
            {
                "label": arm.label,
                "runs": [str(run.directory) for run in arm.runs],
                "scores": [
                    {"task": line.task, "model": line.model, "values": line.values, "std": line.std}
                    | _plain("mean", line.estimate)
                    for line in lines(arm, metric)
                ],
            }
            for arm in arms
        ],
        "differences": [
            {"arm": item.arm, "task": item.task, "verdict": item.verdict}
            | _plain("trajectories", item.trajectories)
            | _plain("seeds", item.seeds)
            | _plain("together", item.together)
            for arm in arms[1:]
            for item in differences(arms[0], arm, metric)
        ],
        "specs": {arm.label: spec_differences(arms[0], arm) for arm in arms[1:]},
    }


def _plain(name: str, found: Estimate) -> dict[str, Any]:
    return {name: {"value": found.value, "low": found.low, "high": found.high}}


def interval(found: Estimate) -> str:
    """`0.1 to 0.2`, or a dash where there is none."""
    return f"{format_number(found.low)} to {format_number(found.high)}" if found.known else DASH


def write_seeds(directory: Path, runs: Sequence[Path]) -> Path:
    """Print the runs of `ups-run --seeds` and write their page; returns its path."""
    from ups_eval.compare.page import render

    arms = load(runs)
    page = directory / "index.html"
    write_text(page, render(arms))
    print_arms(arms)
    return page
