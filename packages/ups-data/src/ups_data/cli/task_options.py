"""Registered tasks as subcommands, their options as flags: what generate, fetch and export share."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from ups_core import UPSError
from ups_core.entry import Entry
from ups_core.option_docs import document_options
from ups_core.plugin_loader import registry_in_use
from ups_core.yamlreader import Unresolved, parse_yaml
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task
from ups_data.tasks.sourced import SourcedTask

PREFIX = "option_"
"""Of the names of parsed options, which are therefore no names of the command's own arguments."""


def add_tasks(
    parser: argparse.ArgumentParser,
    entries: Iterable[Entry],
    without: Collection[str],
    fill: Callable[[argparse.ArgumentParser, str], None],
    defaults: Mapping[str, Mapping[str, Any]] = {},
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """A subcommand for every task; `args.task` is its name.

    Args:
        parser: the command.
        entries: the tasks.
        without: options that have no flag.
        fill: declares the command's own arguments of a subcommand, from its parser and the task's name.
        defaults: task -> option -> default, where it is not that of a spec.

    Returns:
        The subcommands, to which others can be added.
    """
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for entry in entries:
        subparser = tasks.add_parser(entry.name, help=entry.summary.replace("%", "%%"))
        subparser.description = entry.summary.replace("%", "%%")
        subparser.formatter_class = argparse.RawDescriptionHelpFormatter
        fill(subparser, entry.name)
        _add_options(subparser, entry, without, defaults.get(entry.name, {}))
    return tasks


def sourced_tasks() -> Iterator[tuple[Entry, SourcedTask]]:
    """Registered tasks whose files a source provides, with the task of default options."""
    for entry in registry_in_use().entries("tasks"):
        try:
            task = create_task(entry.name, {})
        except UPSError:
            continue  # it needs options, or belongs to a broken plugin, which `ups doctor` reports
        if isinstance(task, SourcedTask):
            yield entry, task


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a task that the command line has, as in a spec."""
    found = {
        name.removeprefix(PREFIX): value for name, value in vars(args).items() if name.startswith(PREFIX)
    }
    return {name: value for name, value in found.items() if value is not None}


def task_of(args: argparse.Namespace, **more: Any) -> Task:
    """The task of the command line.

    Args:
        args: the parsed command line.
        more: options that the command itself sets.

    Raises:
        UPSError: an option is wrong.
    """
    return create_task(args.task, given_options(args) | more)


def _add_options(
    parser: argparse.ArgumentParser, entry: Entry, without: Collection[str], defaults: Mapping[str, Any]
) -> None:
    config = entry.load_config()
    group = parser.add_argument_group("options of the task, as in a spec")
    for documented in document_options(config):
        for option in documented.options:
            if option.name in without or option.name not in config.model_fields:
                continue
            many = typing.get_origin(config.model_fields[option.name].annotation) is list
            default = defaults.get(option.name, option.default)
            usual = "" if default is None else f"; default: {default}"
            group.add_argument(
                f"--{option.name.replace('_', '-')}",
                dest=PREFIX + option.name,
                type=_value,
                nargs="+" if many else None,
                metavar="X",
                help=f"{option.meaning.rstrip('.')}{usual}".replace("%", "%%"),
            )


def _value(text: str) -> Any:
    """A value as a spec would have it: YAML."""
    return parse_yaml(text, "the command line", Unresolved()).data
