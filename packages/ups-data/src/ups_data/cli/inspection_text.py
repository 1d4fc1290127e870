"""The findings of `ups data inspect` as text."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ups_core.cli.output import counted
from ups_core.errors import printable
from ups_core.plugin_loader import registry_in_use

MAX_SLOW = 5
"""Datasets that are slow to read and named; files of groups have thousands."""


def render(findings: dict[str, Any], stream: TextIO) -> None:
    """Print findings as text."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    known = ", ".join(entry.name for entry in registry_in_use().entries("layouts"))
    layout = findings["layout"] or f"not recognised (known: {known})"
    console.print(escape(f"{findings['path']}  {findings['bytes'] / 1e6:.1f} MB  layout: {layout}"))
    if findings["contents"]:
        console.print(escape(printable(f"  {_summary(findings['contents'])}")))
    for key, value in findings["attributes"].items():
        console.print(escape(printable(f"  {key} = {value}")))
    table = Table("dataset", "shape", "type", "range")
    for key, dataset in findings["datasets"].items():
        place = findings["coordinates"].get(key) or findings["values"].get(key)
        table.add_row(
            escape(printable(key)), str(tuple(dataset["shape"])), dataset["dtype"], _span(place or {})
        )
    console.print(table)
    for key, values in findings["values"].items():
        health = (
            f"{values['not_finite']} values are NaN or infinite" if values["not_finite"] else "all finite"
        )
        mean = "-" if values["mean"] is None else f"{values['mean']:.5g}"
        seen = "all" if values["trajectories"] == values["of"] else f"{values['trajectories']} of the"
        # Which axis of an array counts trajectories is for its user to say.
        what = "rows" if findings["layout"] in (None, "arrays") else "trajectories"
        sample = f"{printable(key)}: {seen} {values['of']} {what}, mean {mean}, {health}"
        console.print(escape(f"{sample}  {values['profile']}"))
    for key, problem in findings["not_read"].items():
        console.print(escape(f"{printable(key)} {problem}"))
    slow = list(findings["slow"].items())
    for key, problem in slow[:MAX_SLOW]:
        console.print(escape(f"slow to read: {printable(key)} {problem}"), style="yellow")
    if slow:
        more = f"{len(slow) - MAX_SLOW} more datasets; " if len(slow) > MAX_SLOW else ""
        advice = f"{more}'ups data repack {findings['path']} -o NEW' stores them contiguously"
        console.print(escape(advice), style="yellow")


def _span(place: dict[str, Any]) -> str:
    low, high = place.get("first", place.get("min")), place.get("last", place.get("max"))
    return "" if low is None or high is None else f"{low:.5g} .. {high:.5g}"


def _summary(contents: dict[str, Any]) -> str:
    """One line: trajectories, frames, grid, channels, parameters."""
    grid = "x".join(map(str, contents["grid"]))
    parts = [
        counted(contents["trajectories"], "trajectory", "trajectories"),
        counted(contents["frames"], "frame"),
        f"grid {grid}",
        f"channels {', '.join(contents['channels'])}",
    ]
    if contents["static"]:
        parts.append(f"given {', '.join(contents['static'])}")
    for name, (low, high) in contents["parameters"].items():
        parts.append(f"{name} = {low:g}" if low == high else f"{name} from {low:g} to {high:g}")
    return ", ".join(parts)
