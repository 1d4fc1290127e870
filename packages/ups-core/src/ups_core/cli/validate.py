"""`ups validate` and `ups schema`: mistakes in a spec, and what a spec may contain."""

from __future__ import annotations

import argparse
import sys

from ups_core.cli.options import add_overrides, user_path
from ups_core.cli.output import counted, print_json
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_core.schema import spec_schema
from ups_core.validate import load_spec


class ValidateCommand:
    """Check specs without touching data: every mistake at once, with its place in the file."""

    help = "check specs; prints every mistake with file, line and column"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("specs", nargs="+", type=user_path, metavar="SPEC", help="a YAML file")
        add_overrides(parser)
        parser.add_argument("--json", action="store_true", help="print mistakes as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Validate each spec."""
        for path in args.specs:
            spec, _ = load_spec(path, args.overrides)
            if not args.json:
                parts = counted(len(spec.tasks), "task"), counted(len(spec.pipeline), "step")
                print(f"{path}: valid ({', '.join(parts)})")
        if args.json:
            print_json({"issues": []})
        return 0


class SchemaCommand:
    """JSON Schema of the spec language with every installed plugin, for editors."""

    help = "JSON Schema of specs, including installed plugins"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """There are none."""

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the schema."""
        problems: list[str] = []
        print_json(spec_schema(problems))
        for problem in [*map(str, registry_in_use().failures), *problems]:
            print(f"left out: {problem}", file=sys.stderr)
        return 0
