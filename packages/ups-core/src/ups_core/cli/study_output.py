"""A study as text: its trials, best first, and how to use the best."""

from __future__ import annotations

from ups_core.cli.output import print_table
from ups_core.study.space import value_text
from ups_core.study.study import Study, Trial


def print_study(study: Study, metric: str) -> None:
    """Print the trials, what is remarkable about the best, and the command that uses it."""
    keys = [parameter.key for parameter in study.space]
    columns = ("trial", *keys, metric, "status", "seconds", "run directory or reason")
    print_table(columns, [_row(trial, keys) for trial in study.ranked])
    for line in study.edges():
        print(line)
    if study.best is not None:
        for figure in sorted(study.directory.glob("*.png")):  # drawn by plugins, through ups_study_finished
            print(f"figure: {figure}")
        print(f"use the best: {study.use_best()}")


def _row(trial: Trial, keys: list[str]) -> tuple[str, ...]:
    return (
        str(trial.number),
        *(_brief(trial.parameters[key]) for key in keys),
        _brief(trial.value),
        trial.status,
        f"{trial.seconds:.0f}",
        trial.message if trial.status == "failed" else trial.directory,
    )


def _brief(value: object) -> str:
    """A value in a table; a number to four digits."""
    if value is None or isinstance(value, float):
        return "-" if value is None else f"{value:.4g}"
    return value_text(value)
