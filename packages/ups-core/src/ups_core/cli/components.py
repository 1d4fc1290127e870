"""`ups list` and `ups show`: the components that a spec can name, and the options of one."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ups_core.cli.options import data_root, user_path
from ups_core.cli.output import print_columns, print_json, print_table
from ups_core.component import Component
from ups_core.console import Console
from ups_core.entry import Entry
from ups_core.errors import UPSError
from ups_core.kinds import KINDS, Kind, singular
from ups_core.option_docs import Option, document_options
from ups_core.plugin_loader import registry_in_use
from ups_core.references import load_object
from ups_core.schema import component_schema
from ups_core.spec import ROLES
from ups_core.step_config import StepConfig
from ups_core.validate import load_spec

WIDTH = 100
KEYWORDS = {kind: role for role, kind in ROLES.items()}
"""Registry kind -> key of a pipeline entry that names such a component; elsewhere it is `kind`."""


class ListCommand:
    """Every registered component, or those of one kind."""

    help = "components that a spec can name"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("kind", nargs="?", type=_kind, metavar="KIND", help=f"one of {', '.join(KINDS)}")
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the components."""
        registry = registry_in_use()
        if args.json:
            print_json(
                [
                    {
                        "kind": entry.kind,
                        "name": entry.name,
                        "summary": entry.summary,
                        "provider": str(entry.provider),
                    }
                    for entry in registry.entries(args.kind)
                ]
            )
            return 0
        for name in [args.kind] if args.kind else KINDS:
            print(f"{name}: {KINDS[name].summary}; {KINDS[name].usage}")
            rows = [(f"  {e.name}", e.summary, str(e.provider)) for e in registry.entries(name)]
            print_columns(rows or [("  (none installed)",)])
            print()
        what = f"{singular(args.kind)} NAME" if args.kind else "KIND NAME"
        print(f"'ups show {what}' explains a component and its options.")
        return 0


class ShowCommand:
    """One component: what it does, where a spec names it, and every option with type, default and meaning.

    Options that a component shares with all others of its kind come last.
    """

    help = "one component's options, e.g. 'ups show model latent_operator'"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("kind", type=_kind, metavar="KIND", help="model, stage, optimizer, ...")
        parser.add_argument("name", metavar="NAME", help="a name that 'ups list KIND' prints")
        parser.add_argument("--json", action="store_true", help="print the JSON Schema")
        parser.add_argument(
            "--spec", type=user_path, metavar="SPEC", help="print what the component does in this spec"
        )

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the component's options, or what it makes of a spec."""
        entry = registry_in_use().get(args.kind, args.name)
        if args.spec is not None:
            return _explain(entry, args.spec)
        if args.json:
            print_json(component_schema(entry, KEYWORDS.get(entry.kind, "kind")))
        else:
            print("\n".join(_documentation(entry)))
        return 0


def _documentation(entry: Entry) -> Iterator[str]:
    """The component as a page of text."""
    kind, config = KINDS[entry.kind], entry.load_config()
    yield f"{entry.name}: {entry.summary}  [{entry.provider}]"
    yield ""
    if config is not kind.load_base() and config.__doc__:  # the docstring of the base describes no component
        yield from _paragraphs(inspect.cleandoc(config.__doc__))
        yield ""
    groups = document_options(config)
    options = [option for group in groups for option in group.options]
    required = [option.name for option in options if option.default is None and "." not in option.name]
    yield f"use:       {_usage(kind, entry.name, required)}"
    if issubclass(config, StepConfig):
        yield f"consumes:  {', '.join(config.consumes) or 'nothing'}"
        yield f"produces:  {', '.join(config.produces) or 'nothing that later steps consume'}"
    if not groups:
        yield ""
        yield "It has no options." if entry.kind != "commands" else "Its arguments are on the command line."
    for number, group in enumerate(groups):
        yield ""
        yield "options:" if number == 0 else f"{group.title}:"
        for option in group.options:
            yield from _option(option)


def _usage(kind: Kind, name: str, required: list[str]) -> str:
    """Where a spec names the component, with the options that it cannot do without."""
    more = "".join(f", {option}: ..." for option in required)
    return kind.usage.replace("NAME", f"{name}{more}")


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from textwrap.wrap(" ".join(paragraph.split()), WIDTH)


def _option(option: Option) -> Iterator[str]:
    default = {None: " (required)", "": ""}.get(option.default, f" (default {option.default})")
    indent = "  " + "  " * option.name.count(".")
    head = f"{option.name}: {option.type}{default}"
    yield from textwrap.wrap(head, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}      ")
    indent += "    "
    yield from textwrap.wrap(option.meaning, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _explain(entry: Entry, path: Path) -> int:
    """Print how the component explains itself for every step of the spec that uses it."""
    function = entry.load_config().explain
    if function is None:
        raise UPSError(f"{singular(entry.kind)} '{entry.name}' has nothing to say about a spec; omit --spec")
    spec, _ = load_spec(path)
    using = [
        (step, option)
        for step in spec.pipeline
        for _, option in step.config
        if isinstance(option, Component) and option.entry == entry
    ]
    if not using:
        raise UPSError(f"no step of {path} uses the {singular(entry.kind)} '{entry.name}'")
    root = data_root(None)
    infos = {name: task.create(name=name).describe(root) for name, task in spec.tasks.items()}
    for step, component in using:
        print(f"step {step.id}:")
        columns, *rows = load_object(function)(component.config, spec, step, infos)
        print_table(columns, rows)
    return 0


def _kind(text: str) -> str:
    """Accept a component kind in singular or plural."""
    for kind in KINDS:
        if text in (kind, singular(kind)):
            return kind
    raise argparse.ArgumentTypeError(f"unknown kind of component '{text}'; kinds: {', '.join(KINDS)}")
