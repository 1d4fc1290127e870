"""Results on standard output: tables on a terminal, aligned plain text elsewhere, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ups_core.errors import SpecError, UPSError, printable
from ups_core.files import finite
from ups_core.interrupts import Interrupted

if TYPE_CHECKING:
    from rich.table import Table


def print_json(value: Any) -> None:
    """Print plain data as JSON; a number that JSON cannot hold (NaN, infinity) becomes null."""
    print(json.dumps(finite(value), indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings; a rich table on a terminal, aligned plain text elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(columns, rows))
        return
    print_columns([columns, *rows])


def rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows under headings for a terminal."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equal length as aligned plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def counted(number: int, noun: str, nouns: str = "") -> str:
    """`1 task`, `2 tasks`; `nouns` where the plural is irregular."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def guarded(action: Callable[[], int], as_json: bool = False) -> int:
    """Run a command's action and turn what goes wrong into one line and an exit code."""
    try:
        return action()
    except UPSError as error:
        if as_json:
            issues = [issue.to_dict() for issue in error.issues] if isinstance(error, SpecError) else []
            print_json({"error": str(error), "issues": issues})
        if isinstance(error, SpecError):
            print(error, file=sys.stderr)
        else:
            print(f"error: {' '.join(map(printable, str(error).splitlines()))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # As in `ups list | head`. Python flushes standard output when it exits, which would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # an unwritable directory or a full disk, not a bug
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        print("interrupted; rerun the same command to resume", file=sys.stderr)
        return 130
