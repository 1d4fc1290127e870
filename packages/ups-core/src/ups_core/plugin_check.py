"""Checks every registered component by importing it, before a run depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ups_core.errors import UPSError
from ups_core.plugin_loader import LoadedPlugins


def check_plugins(loaded: LoadedPlugins) -> Iterator[str]:
    """One line per problem: plugins that failed to load, then components that do not fit their kind.

    Importing a factory also runs the checks that it makes of itself: a stage of ups-train checks that its
    objective has every part.
    """
    yield from map(str, loaded.registry.failures)
    for entry in loaded.registry.entries():
        problems = [_problem(entry.load_config), _problem(entry.load)]
        yield from dict.fromkeys(filter(None, problems))  # one module may hold both: one line


def _problem(load: Callable[[], object]) -> str | None:
    try:
        load()
    except UPSError as error:
        return " ".join(str(error).split())
    return None
