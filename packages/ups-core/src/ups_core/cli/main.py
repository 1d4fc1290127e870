"""`ups`: inspect what is installed, check and run specs, and the commands that plugins add."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ups_core.cli.cite import CiteCommand
from ups_core.cli.components import ListCommand, ShowCommand
from ups_core.cli.output import guarded
from ups_core.cli.plugins import PluginsCommand
from ups_core.cli.run import RunCommand
from ups_core.cli.status import StatusCommand
from ups_core.cli.validate import SchemaCommand, ValidateCommand
from ups_core.command import Command
from ups_core.console import Console
from ups_core.cpus import share_cores
from ups_core.plugin_calls import plugin_call
from ups_core.plugin_loader import plugins_in_use

BUILT_IN: dict[str, type[Command]] = {
    "run": RunCommand,
    "status": StatusCommand,
    "validate": ValidateCommand,
    "plugins": PluginsCommand,
    "list": ListCommand,
    "show": ShowCommand,
    "schema": SchemaCommand,
    "cite": CiteCommand,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ups`."""
    share_cores()
    given = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: _main(given), as_json="--json" in given)


def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="ups", description="Universal Physics Stack: neural simulators of PDEs from one YAML file."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command_class in BUILT_IN.items():
        _fill(commands.add_parser(name, help=command_class.help), command_class())
    # Only the command that was typed is imported, so a broken or slow plugin affects no other command.
    typed = next((word for word in arguments if not word.startswith("-")), None)
    if typed not in BUILT_IN:
        for entry in plugins_in_use().registry.entries("commands"):
            if entry.name in BUILT_IN:
                continue
            subparser = commands.add_parser(entry.name, help=entry.summary.replace("%", "%%"))
            if entry.name == typed:
                with plugin_call(str(entry), bugs=True):
                    _fill(subparser, entry.create(entry.load_config()()))
    args = parser.parse_args(arguments)
    code: int = args.command.run(args, Console(quiet=getattr(args, "json", False)))
    return code


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.description = command.__doc__ or command.help
    command.add_arguments(parser)
    parser.set_defaults(command=command)


if __name__ == "__main__":
    sys.exit(main())
