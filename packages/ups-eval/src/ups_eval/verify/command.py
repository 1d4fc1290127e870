"""`ups verify`: prints a table of what was compared, and ends with 1 if something does not match."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ups_core import CommandConfig
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json, print_table
from ups_core.console import Console
from ups_core.errors import UPSError, printable
from ups_core.run_file import RUN
from ups_eval.verify.bundle import verify_bundle, verify_page
from ups_eval.verify.finding import Finding
from ups_eval.verify.leaderboard import verify_leaderboard
from ups_eval.verify.run import verify_run
from ups_models.bundle_config import CONFIG

LEVELS = ("numbers", "predictions", "data")
EXAMPLES = """levels, each with those before:
  numbers      checksums of all files; every number computed again from the statistics of
               trajectories, and these from the stored predictions (seconds, no torch)
  predictions  the saved models are rolled out again
  data         the data files are read and compared with the record

examples:
  ups verify runs/smoke-1a2b3c4d
  ups verify runs/smoke-1a2b3c4d --level predictions
  ups verify runs/smoke-1a2b3c4d/steps/operator/model
  ups verify runs/smoke-1a2b3c4d/report/index.html
  ups verify runs/leaderboard.sqlite
"""


class VerifyCommand:
    """Prove that the numbers of a run, a saved model or a page are those that were written."""

    help = "prove that the numbers of a run follow from its files"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the place and the level."""
        parser.epilog = EXAMPLES
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument(
            "place",
            type=user_path,
            metavar="RUN|BUNDLE|REPORT|LEADERBOARD",
            help=f"a directory with {RUN}, one with {CONFIG}, a page, or a leaderboard (.sqlite)",
        )
        parser.add_argument(
            "--level", choices=LEVELS, default="numbers", help="how much is done again; default: numbers"
        )
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Compare, print, and return 1 if something does not match.

        Raises:
            UPSError: the place is none of those, or cannot be read.
        """
        findings = list(_findings(args.place, LEVELS.index(args.level)))
        if args.json:
            print_json([vars(finding) for finding in findings])
        else:
            rows = [tuple(map(printable, (item.outcome, item.what, item.detail))) for item in findings]
            print_table(("", "what", "compared"), rows)
        wrong = [item for item in findings if item.outcome == "MISMATCH"]
        for item in wrong:
            console.say(f"{item.what}: {item.detail}", style="red")
        return 1 if wrong else 0


def _findings(place: Path, level: int) -> Iterator[Finding]:
    if (place / RUN).exists() or (place / RUN).is_symlink():
        yield from verify_run(place, full_data=level >= LEVELS.index("data"))
        if level >= LEVELS.index("predictions"):
            from ups_eval.verify.replay import replay  # needs torch

            yield from replay(place)
    elif (place / CONFIG).exists():
        yield from verify_bundle(place)
    elif place.suffix == ".sqlite" and place.is_file():
        yield from verify_leaderboard(place)
    elif place.is_file():
        yield from verify_page(place)
        run = place.parent.parent
        if (run / RUN).exists():
            yield from _findings(run, level)
    else:
        raise UPSError(
            f"{place} is not a run directory ({RUN}), a saved model ({CONFIG}), a page or a leaderboard"
        )
