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
    for failure in loaded.registry.failures:
        yield str(failure)
    for entry in loaded.registry.entries():
        for load in (entry.load_config, entry.load):
            yield from _problem(load)


def _problem(load: Callable[[], object]) -> Iterator[str]:
    try:
        load()
    except UPSError as error:
        yield " ".join(str(error).split())
