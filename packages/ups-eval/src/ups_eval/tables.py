"""The tables of a run as rows of text, for the terminal and the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from ups_eval.results import Results

DASH = "–"


def format_number(value: float | None) -> str:
    """Three significant digits in at most eight characters: `0.0123`, `12.3`, `4.56e-05`, `∞`."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"
    return f"{value:.2e}"


def format_ratio(ratio: float | None) -> str:
    """The ratio of an error to that of persistence: `×0.12`."""
    return "" if ratio is None else f"×{format_number(ratio)}"


def format_seconds(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 120:
        return f"{rounded} s"
    if rounded < 7200:
        return f"{rounded // 60} min {rounded % 60} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60} min"


@dataclass(frozen=True)
class Cell:
    """One score: its text, its ratio to persistence, whether it is the best of its row, its interval."""

    text: str
    ratio: str = ""
    best: bool = False
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    cells: tuple[Cell, ...]


def headline(results: Results) -> list[Row]:
    """nRMSE of every task and model, and the energy score of ensembles, with the ratio to persistence."""
    metrics = dict.fromkeys(("nrmse", results.criterion))
    return [
        Row(
            task if metric == "nrmse" else f"{task}: {metric_label(metric)}",
            tuple(_cell(results, task, model, metric, ratio=True) for model in results.models),
        )
        for task in results.tasks
        for metric in metrics
    ]


def metric_label(metric: str) -> str:
    """A metric's name in text: `nRMSE`, `energy score`."""
    return "nRMSE" if metric == "nrmse" else metric.replace("_", " ")


def _cell(results: Results, task: str, model: str, metric: str, ratio: bool = False) -> Cell:
    text = format_number(results.value(task, model, metric))
    if diverged := results.diverged(task, model):
        text = f"∞ ({diverged} diverged)"
    relative = ""
    if ratio and model != "persistence":
        relative = format_ratio(results.ratio(task, model, metric=metric))
    return Cell(text, relative, best=len(results.models) > 1 and results.best(task, metric) == model)


def rich_headline(results: Results, title: str) -> Table:
    """The headline table for a terminal."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    caption = "nRMSE (× persistence)" if "persistence" in results.models else "nRMSE"
    table = Table(title=escape(title), title_justify="left", caption=caption, caption_justify="left")
    table.add_column("task")
    for model in results.models:
        table.add_column(escape(model), justify="right", overflow="fold")
    for row in headline(results):
        texts = [
            Text(f"{cell.text} {cell.ratio}".strip(), style="bold" if cell.best else "") for cell in row.cells
        ]
        table.add_row(escape(row.label), *texts)
    return table
