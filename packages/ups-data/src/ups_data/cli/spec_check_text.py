"""The findings of `ups data check SPEC` as text."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ups_core.cli.output import counted
from ups_core.errors import printable
from ups_data.prepare.splits import SPLITS


def render_audit(audit: dict[str, Any], stream: TextIO) -> None:
    """Print an audit as one table for every task."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    for name, task in audit["tasks"].items():
        if task["splits"]:
            console.print(_table(name, task["splits"]))
        if task["repeats"]:
            console.print(escape(f"{name}: {task['repeats']} trajectories start like one of another split"))
        for what in ("defects", "notes"):
            for line in task[what]:
                console.print(escape(printable(f"{name}: {what[:-1]}: {line}")))
    found = counted(len(audit["defects"]), "defect") if audit["defects"] else "no defects"
    console.print(escape(printable(f"{audit['spec']}: {found}")))


def _table(name: str, splits: dict[str, Any]) -> Table:
    table = Table(escape(name), *SPLITS)
    table.add_row("trajectories", *(str(splits[split]["size"]) for split in SPLITS))
    if splits["train"]["frames"] > 1:
        table.add_row("frames", *(str(splits[split]["frames"]) for split in SPLITS))
    for channel in splits["train"]["channels"]:
        ends = [splits[split]["channels"].get(channel) for split in SPLITS]
        table.add_row(
            escape(channel), *("-" if end is None else _span(end["min"], end["max"]) for end in ends)
        )
    for parameter in splits["train"]["parameters"]:
        spans = [splits[split]["parameters"].get(parameter) for split in SPLITS]
        table.add_row(
            escape(f"parameter {parameter}"), *("-" if not span else _span(*span) for span in spans)
        )
    jumps = [splits[split]["largest_jump"] for split in SPLITS]
    if any(jumps):
        table.add_row(
            "largest change / median", *(f"{jump['of_median']:.3g}" if jump else "-" for jump in jumps)
        )
    return table


def _span(low: float, high: float) -> str:
    return f"{low:.4g} .. {high:.4g}"
