"""`ups leaderboard`: show, export or promote the entries of a leaderboard."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from ups_core import UPSError
from ups_core.base_configs import CommandConfig
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json
from ups_core.console import LOG_WIDTH, Console
from ups_core.files import finite, write_text
from ups_eval.leaderboard.entry import Entry
from ups_eval.leaderboard.ranking import Ranking, rank
from ups_eval.leaderboard.store import FILE, Leaderboard
from ups_eval.leaderboard.words import board_title, gates_text, resolution_text
from ups_eval.tables import format_number, metric_label

EXAMPLES = """\
A board is one task with one set of trajectories and one version of the metrics. Models that the trajectories
cannot tell apart share a rank; several seeds of one spec are one line.

examples:
  ups leaderboard show                          every board of runs/leaderboard.sqlite
  ups leaderboard show --task darcy2d --metric vrmse
  ups leaderboard html -o board.html            one page to send to others
  ups leaderboard export --csv > board.csv      every entry, for other tools
  ups leaderboard promote 12 --reason "checked by hand"
"""


class LeaderboardCommand:
    """Show, export or promote the entries of a leaderboard."""

    help = "show, export or promote the entries of a leaderboard"

    def __init__(self, config: CommandConfig | None = None) -> None:
        self.config = config or CommandConfig()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, text in (
            ("show", "print every board with ranks and intervals"),
            ("html", "write one self-contained page"),
            ("export", "print all entries as JSON or CSV"),
            ("promote", "make an entry the champion of its board"),
        ):
            action = actions.add_parser(name, help=text)
            if name == "promote":
                action.add_argument(
                    "number", type=int, metavar="NUMBER", help="of the entry, as `show` prints it"
                )
                action.add_argument("--reason", default="by hand", help="noted in the history of champions")
            action.add_argument(
                "--store",
                type=user_path,
                default=Path("runs") / FILE,
                metavar="FILE",
                help=f"the leaderboard (default: runs/{FILE})",
            )
            if name in ("show", "html", "export"):
                action.add_argument("--task", help="only boards of this task")
            if name in ("show", "html"):
                action.add_argument("--metric", default="nrmse", help="rank by this metric (default: nrmse)")
            if name == "html":
                action.add_argument("-o", "--output", type=user_path, default=Path("leaderboard.html"))
            if name == "export":
                action.add_argument("--csv", action="store_true", help="CSV in place of JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Execute the action; results go to standard output.

        Raises:
            UPSError: the file is missing or is not a leaderboard of this version, or has no such entry.
        """
        if not args.store.exists():
            raise UPSError(
                f"{args.store} does not exist; add 'evaluate: leaderboard' to a spec, or name a file"
            )
        board = Leaderboard(args.store)
        if args.action == "promote":
            return self._promote(board, args.number, args.reason)
        entries = [entry for entry in board.entries() if getattr(args, "task", None) in (None, entry.task)]
        if not entries:
            raise UPSError(f"{args.store} has no entry{f' of task {args.task!r}' if args.task else ''}")
        if args.action == "export":
            print(csv_of(entries), end="") if args.csv else print_json([plain(entry) for entry in entries])
            return 0
        rankings = ranked(entries, args.metric)
        if args.action == "html":
            from ups_eval.leaderboard.page import render  # needs jinja2

            histories = {name: board.history(name) for name in rankings}
            write_text(args.output, render(rankings, args.metric, histories))
            print(args.output)
            return 0
        output = RichConsole(highlight=False)
        if not output.is_terminal:
            output.width = LOG_WIDTH
        for ranking in rankings.values():
            output.print(rich_ranking(ranking, args.metric))
        return 0

    def _promote(self, board: Leaderboard, number: int, reason: str) -> int:
        entry = next((entry for entry in board.entries() if entry.number == number), None)
        if entry is None:
            raise UPSError(f"{board.path} has no entry {number}; `ups leaderboard show` prints their numbers")
        board.promote(entry, reason)
        print(f"{entry.model} of {entry.run} is the champion of {entry.task}")
        return 0


def ranked(entries: list[Entry], metric: str) -> dict[str, Ranking]:
    """Board -> its ranking, for boards on which the metric is known.

    Raises:
        UPSError: no entry has the metric.
    """
    boards: dict[str, list[Entry]] = {}
    for entry in entries:
        boards.setdefault(entry.board, []).append(entry)
    rankings = {name: rank(content, metric) for name, content in boards.items()}
    rankings = {name: ranking for name, ranking in rankings.items() if ranking.places}
    if not rankings:
        known = sorted({name for entry in entries for name in entry.results.metric_names})
        raise UPSError(f"no entry has the metric '{metric}'; known: {', '.join(known)}")
    return rankings


def rich_ranking(ranking: Ranking, metric: str) -> Table:
    """A board for a terminal."""
    table = Table(
        title=escape(board_title(ranking.places[0].entry)), title_justify="left", caption_justify="left"
    )
    table.caption = resolution_text(ranking)
    for name in ("rank", "model", metric_label(metric), "95 % interval", "seeds", "gates", "run", "entry"):
        table.add_column(name, justify="right" if name in ("rank", metric_label(metric), "entry") else "left")
    for place in ranking.places:
        entry, found = place.entry, place.estimate
        spread = "" if place.seeds == 1 else f" ± {format_number(place.spread)}"
        table.add_row(
            str(place.rank),
            escape(entry.model) + (" [bold](champion)[/]" if entry.champion else ""),
            format_number(found.value) + spread,
            f"{format_number(found.low)} to {format_number(found.high)}" if found.known else "",
            str(place.seeds),
            gates_text(entry),
            escape(entry.run),
            str(entry.number),
        )
    return table


def plain(entry: Entry) -> dict[str, object]:
    """An entry as plain data, without the values of trajectories."""
    names = ("number", "board", "task", "data", "split", "limit", "model", "baseline", "run", "spec")
    more = ("experiment", "seed", "metric_version", "gates", "champion", "created")
    content = {name: getattr(entry, name) for name in (*names, *more)}
    content["packages"] = dict(entry.packages)
    prefix = f"{entry.task}/"
    content["metrics"] = finite(
        {key.removeprefix(prefix): value for key, value in entry.results.metrics.items()}
    )
    return content


def csv_of(entries: list[Entry]) -> str:
    """One line per entry, one column per metric."""
    rows = [plain(entry) for entry in entries]
    for row in rows:
        metrics, packages = row.pop("metrics"), row.pop("packages")
        assert isinstance(metrics, dict)
        assert isinstance(packages, dict)
        row["packages"] = " ".join(f"{name}={version}" for name, version in packages.items())
        row.update(metrics)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
