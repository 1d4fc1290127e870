"""Arguments that several commands have, declared once so that meaning and help are the same."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

RUNS_DIR = Path("runs")
"""Default of `--runs-dir`."""


def user_path(text: str) -> Path:
    """A path that a user wrote; `~` is the home directory wherever a shell has left it, as in `--out=~/x`."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"'{text}': {error}; write the path out") from None


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """`--set KEY=VALUE`, as `args.overrides`: a list of texts."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one value of the spec, e.g. model.width=64 or pipeline.operator.epochs=5; repeatable",
    )


def add_runs_dir(parser: argparse.ArgumentParser) -> None:
    """`--runs-dir DIR`, as `args.runs_dir`."""
    parser.add_argument(
        "--runs-dir",
        type=user_path,
        default=RUNS_DIR,
        metavar="DIR",
        help="directory of the run directories (default: %(default)s)",
    )


def add_data_root(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """`--data-root DIR`, as `args.data_root`; :func:`data_root` gives the default.

    Args:
        parser: of the command.
        default: `argparse.SUPPRESS` for a subcommand of a command with the same option.
    """
    parser.add_argument(
        "--data-root",
        type=user_path,
        default=default,
        metavar="DIR",
        help="directory of data files, generated ones included (default: $UPS_DATA_ROOT, else ./data)",
    )


def data_root(given: Path | None) -> Path:
    """The data root: the argument, else `$UPS_DATA_ROOT`, else `./data`."""
    return given or Path(os.environ.get("UPS_DATA_ROOT") or "data").expanduser()


def at_least(minimum: int) -> Callable[[str], int]:
    """An argparse type for integers from `minimum`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is below {minimum}")
        return value

    parse.__name__ = "integer"  # argparse names the type in its message about what is not a number
    return parse
