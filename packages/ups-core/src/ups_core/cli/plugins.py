"""`ups plugins`: what is installed, what failed and why, and with `--check` whether all can be used."""

from __future__ import annotations

import argparse
from typing import Any

from ups_core.cli.output import counted, print_json, print_table
from ups_core.console import Console
from ups_core.entry import Provider
from ups_core.kinds import KINDS, singular
from ups_core.plugin_check import check_plugins
from ups_core.plugin_loader import LoadedPlugins, plugins_in_use


class PluginsCommand:
    """Every plugin with its version and what it registers; broken ones with the reason.

    With --check every registered factory and options class is imported and checked against its kind; the
    exit code is 1 where one has a problem.
    """

    help = "installed plugins, what they provide, which failed and why"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--check", action="store_true", help="import and check every component instead")
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the plugins, or the problems of their components; works even if plugins are broken."""
        loaded = plugins_in_use()
        return _check(loaded, args.json) if args.check else _list(loaded, args.json)


def _check(loaded: LoadedPlugins, as_json: bool) -> int:
    problems = list(check_plugins(loaded))
    if as_json:
        print_json({"problems": problems})
    else:
        for problem in problems:
            print(problem)
        if not problems:
            components = counted(len(loaded.registry.entries()), "component")
            print(f"{components} of {counted(len(loaded.providers), 'plugin')}: no problems")
    return 1 if problems else 0


def _list(loaded: LoadedPlugins, as_json: bool) -> int:
    rows = [
        _row(name, provider, "loaded", provides=_provides(loaded, provider))
        for name, provider in loaded.providers.items()
    ]
    rows += [
        _row(failure.entry_point, failure.provider, "failed", error=failure.error)
        for failure in loaded.registry.failures
    ]
    if as_json:
        print_json(rows)
        return 0
    print_table(
        ("plugin", "version", "status", "provides"),
        [
            (row["plugin"], row["version"], row["status"], row["error"] or _counts(row["provides"]))
            for row in rows
        ],
    )
    return 0


def _row(
    plugin: str, provider: Provider, status: str, provides: list[str] | None = None, error: str | None = None
) -> dict[str, Any]:
    return {
        "plugin": plugin,
        "distribution": provider.distribution,
        "version": provider.version,
        "status": status,
        "provides": provides or [],
        "error": error,
    }


def _provides(loaded: LoadedPlugins, provider: Provider) -> list[str]:
    return [f"{entry.kind}:{entry.name}" for entry in loaded.registry.entries() if entry.provider == provider]


def _counts(provides: list[str]) -> str:
    counts = {kind: sum(item.startswith(f"{kind}:") for item in provides) for kind in KINDS}
    texts = (counted(count, singular(kind), kind) for kind, count in counts.items() if count)
    return ", ".join(texts) or "nothing"
