"""Checks every registered component by importing it, before a run depends on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ups_core import factories
from ups_core.entry import Entry
from ups_core.errors import UPSError
from ups_core.kinds import KINDS, singular
from ups_core.plugin_loader import LoadedPlugins


def check_plugins(loaded: LoadedPlugins) -> Iterator[str]:
    """One line per problem: plugins that failed to load, then components that do not fit their kind.

    Importing a factory also runs the checks that it makes of itself: a stage of ups-train checks that its
    objective has every part.
    """
    yield from map(str, loaded.registry.failures)
    for entry in loaded.registry.entries():
        problems = [_problem(entry.load_config), _problem(partial(_check_call, entry))]
        problems += [_problem(partial(entry.load_citation, name)) for name in entry.cite]
        yield from dict.fromkeys(filter(None, problems))  # one module may hold both: one line


def _check_call(entry: Entry) -> None:
    """Load a factory and compare its signature with the protocol of its kind in :mod:`ups_core.factories`.

    Raises:
        UPSError: it cannot be imported, or cannot be called with the arguments of its kind.
    """
    factory: Callable[..., Any] = entry.load()
    protocol = getattr(factories, f"{KINDS[entry.kind].singular.capitalize()}Factory")
    _, config, *others = inspect.signature(protocol.__call__).parameters
    try:
        inspect.signature(factory).bind(config, **dict.fromkeys(others))
    except TypeError as error:
        call = ", ".join([config, *(f"{name}=..." for name in others)])
        raise UPSError(
            f"the factory of {singular(entry.kind)} '{entry.name}' cannot be called as factory({call}): "
            f"{error}"
        ) from None
    except ValueError:
        return  # compiled code without a signature


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except UPSError as error:
        return " ".join(str(error).split())
    return None
