"""Commands that look and change nothing: `plugins`, `list`, `show`, `schema`, `validate`."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from ups_core.cli.output import print_json, print_table
from ups_core.component import Component, component_schema
from ups_core.console import Console
from ups_core.errors import UPSError
from ups_core.kinds import KINDS, singular
from ups_core.plugin_loader import plugins_in_use, registry_in_use
from ups_core.references import load_object
from ups_core.registry import Entry
from ups_core.spec import PipelineSpec
from ups_core.validate import load_spec


class PluginsCommand:
    """Every plugin with its version and what it registers; broken ones with the reason."""

    help = "installed plugins, what they provide, which failed and why"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the plugins; works whatever any plugin does."""
        loaded = plugins_in_use()
        rows: list[dict[str, Any]] = []
        for name, provider in loaded.providers.items():
            provides = [
                f"{entry.kind}:{entry.name}"
                for entry in loaded.registry.entries()
                if entry.provider == provider
            ]
            rows.append({"plugin": name, "distribution": provider.distribution, "version": provider.version,
                         "status": "loaded", "provides": provides, "error": None})  # fmt: skip
        for failure in loaded.registry.failures:
            provider = failure.provider
            rows.append({"plugin": failure.entry_point, "distribution": provider.distribution,
                         "version": provider.version, "status": "failed", "provides": [],
                         "error": failure.error})  # fmt: skip
        if args.json:
            print_json(rows)
            return 0
        print_table(
            ("plugin", "version", "status", "provides"),
            [
                (row["plugin"], row["version"], row["status"], row["error"] or _short(row["provides"]))
                for row in rows
            ],
        )
        return 0


def _short(provides: list[str]) -> str:
    counts = {kind: sum(item.startswith(f"{kind}:") for item in provides) for kind in KINDS}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing"


class ListCommand:
    """Every registered component, or those of one kind."""

    help = "components that a spec can name"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("kind", nargs="?", type=_kind, metavar="KIND", help=f"one of {', '.join(KINDS)}")
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the components."""
        entries = registry_in_use().entries(args.kind)
        if args.json:
            print_json([{"kind": entry.kind, "name": entry.name, "summary": entry.summary,
                         "provider": str(entry.provider)} for entry in entries])  # fmt: skip
        else:
            rows = [(entry.kind, entry.name, entry.summary, str(entry.provider)) for entry in entries]
            print_table(("kind", "name", "summary", "provider"), rows)
        return 0


class ShowCommand:
    """One component: what it does and every option with type, default and meaning."""

    help = "one component's options, e.g. 'ups show model latent_operator'"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("kind", type=_kind, metavar="KIND", help="model, stage, optimizer, ...")
        parser.add_argument("name", metavar="NAME", help="a name that 'ups list KIND' prints")
        parser.add_argument("--json", action="store_true", help="print the JSON Schema")
        parser.add_argument("--spec", type=Path, metavar="SPEC",
                            help="what the component does in this spec, where it can tell")  # fmt: skip

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the component's options, or what it makes of a spec."""
        entry = registry_in_use().get(args.kind, args.name)
        if args.spec is not None:
            return _explain(entry, args.spec)
        schema = component_schema(entry)
        if args.json:
            print_json(schema)
            return 0
        print(f"{entry.name}: {entry.summary}  [{entry.provider}]\n")
        required = set(schema["required"])
        for name, option in schema["properties"].items():
            if name != "kind":
                value = "required" if name in required else f"= {_brief(option.get('default'))}"
                print(
                    textwrap.fill(f"{name}: {_type(option)} {value}", width=100, subsequent_indent="      ")
                )
                meaning = " ".join(option.get("description", "").split())
                print(textwrap.indent(textwrap.fill(meaning, width=96), "    "))
        return 0


def _explain(entry: Entry, path: Path) -> int:
    """Print what the component says of every step of the spec that uses it."""
    function = entry.load_config().explain
    if function is None:
        raise UPSError(f"{singular(entry.kind)} '{entry.name}' has nothing to tell about a spec")
    spec, _ = load_spec(path)
    using = [
        (step, option)
        for step in spec.pipeline
        for _, option in step.config
        if isinstance(option, Component) and option.entry == entry
    ]
    if not using:
        raise UPSError(f"no step of {path} has the {singular(entry.kind)} '{entry.name}'")
    for step, component in using:
        print(f"step {step.id}:")
        columns, *rows = load_object(function)(component.config, spec, step)
        print_table(columns, rows)
    return 0


def _brief(default: Any) -> str:
    """A default as a spec would have it: a component without options by its bare name."""
    if isinstance(default, dict) and set(default) == {"kind"}:
        return str(default["kind"])
    if isinstance(default, list):
        return f"[{', '.join(map(_brief, default))}]"
    return json.dumps(default)


def _type(option: dict[str, Any]) -> str:
    for key in ("anyOf", "oneOf"):
        if key in option:
            return " | ".join(dict.fromkeys(_type(item) for item in option[key]))
    if "const" in option:
        return json.dumps(option["const"])
    if "enum" in option:
        return " | ".join(json.dumps(value) for value in option["enum"])
    if "kind" in option.get("properties", {}):
        return str(option["properties"]["kind"]["const"])
    if option.get("type") == "array":
        return f"list of {_type(option.get('items', {}))}"
    return str(option.get("type", "component"))


def _kind(text: str) -> str:
    """Accept a component kind in singular or plural."""
    for kind in KINDS:
        if text in (kind, singular(kind)):
            return kind
    raise argparse.ArgumentTypeError(f"'{text}' is no kind of component; kinds: {', '.join(KINDS)}")


class SchemaCommand:
    """JSON Schema of the spec language with every installed plugin, for editors."""

    help = "JSON Schema of specs, including installed plugins"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """There are none."""

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the schema."""
        schema = PipelineSpec.model_json_schema()
        schema["properties"]["extends"] = {"type": "string", "description": "path of a spec to build on"}
        print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        return 0


class ValidateCommand:
    """Check specs without touching data: every mistake at once, with its place in the file."""

    help = "check specs; prints every mistake with file, line and column"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("specs", nargs="+", type=Path, metavar="SPEC")
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
        parser.add_argument("--json", action="store_true", help="print mistakes as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Validate each spec."""
        for path in args.specs:
            spec, _ = load_spec(path, args.overrides)
            if not args.json:
                print(f"{path}: valid ({len(spec.tasks)} tasks, {len(spec.pipeline)} steps)")
        if args.json:
            print_json({"issues": []})
        return 0
