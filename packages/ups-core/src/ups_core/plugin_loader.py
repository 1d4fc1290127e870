"""Loading plugins so that a broken one loses only its own registrations.

pluggy's own entry-point loading stops at the first plugin that fails to import and accepts misspelt hooks
silently, so entry points are loaded one by one here and checked before they count.

`UPS_PLUGINS=a,b` loads only these entry points; `UPS_STRICT_PLUGINS=1` turns any failure into an error.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

import pluggy

from ups_core import hookspecs
from ups_core.entry import Entry, Provider
from ups_core.errors import UPSError
from ups_core.kinds import KINDS, singular
from ups_core.plugin_calls import PluginExit, described, plugin_call
from ups_core.registry import Failure, Registry

GROUP = "ups"


@dataclass(frozen=True)
class LoadedPlugins:
    """The plugins after loading: what each registered, which failed, and the hooks of watchers."""

    registry: Registry
    manager: pluggy.PluginManager
    providers: dict[str, Provider]


def load_plugins(points: Iterable[EntryPoint] | None = None) -> LoadedPlugins:
    """Load core's own components and every installed plugin.

    Args:
        points: entry points to load instead of the installed ones of group `ups`.

    Raises:
        UPSError: `UPS_STRICT_PLUGINS` is set and a plugin failed.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    loaded = LoadedPlugins(Registry(), manager, {})
    failures = loaded.registry.failures
    for point in _chosen(_installed(failures) if points is None else points):
        _load_one(point, loaded)
    if failures and os.environ.get("UPS_STRICT_PLUGINS", "") not in ("", "0"):
        raise UPSError("UPS_STRICT_PLUGINS is set and " + "; ".join(map(str, failures)))
    return loaded


@cache
def plugins_in_use() -> LoadedPlugins:
    """The process's plugins; the first call loads those that are installed."""
    return load_plugins()


def registry_in_use() -> Registry:
    """The process's registry; the first call loads the installed plugins."""
    return plugins_in_use().registry


def _chosen(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Without duplicates (one entry point seen through two path entries), our own first, by name.

    The order decides which of two providers of a name is named first in the error, so it is fixed.
    """
    unique = {(point.name, point.value): point for point in points}
    wanted = os.environ.get("UPS_PLUGINS")
    names = None if wanted is None else {name.strip() for name in wanted.split(",")}
    return sorted(
        (point for point in unique.values() if names is None or point.name in names),
        key=lambda point: (_provider(point).distribution not in FIRST_PARTY, point.name),
    )


FIRST_PARTY = ("ups-core", "ups-data", "ups-models", "ups-eval", "ups-train")


def _installed(failures: list[Failure]) -> Iterator[EntryPoint]:
    """Entry points of all distributions, each by the first of its name on the path, as pip sees them.

    A distribution whose metadata cannot be read is a failure of that one alone. Names of our packages are
    ours: another distribution of such a name would take their place.
    """
    seen = set()
    for dist in distributions():
        try:
            points = [point for point in dist.entry_points if point.group == GROUP]
        except Exception as error:
            provider = _provider_of(dist)
            failures.append(Failure(provider.distribution, provider, f"entry_points.txt: {described(error)}"))
            continue
        if not points:
            continue  # parsing the metadata of every distribution would take half of the time of a plan
        provider = _provider_of(dist)
        name = re.sub(r"[-_.]+", "-", provider.distribution).lower()
        if name in FIRST_PARTY:
            module = f"{name.replace('-', '_')}.plugin"
            for point in points:
                if point.value == module:
                    yield point
                else:
                    problem = f"the name {name} is that of a UPS package; uninstall this other one"
                    failures.append(Failure(point.name, provider, problem))
        elif name not in seen:
            seen.add(name)
            yield from points


def _provider(point: EntryPoint) -> Provider:
    return Provider("unknown", "0") if point.dist is None else _provider_of(point.dist)


def _provider_of(dist: Distribution) -> Provider:
    try:
        return Provider(str(dist.name or "unknown"), str(dist.version or "0"))
    except Exception:  # importlib.metadata raises anything over METADATA that is missing or damaged
        return Provider("unknown", "0")


def _load_one(point: EntryPoint, loaded: LoadedPlugins) -> None:
    provider = _provider(point)
    plugin: Any = None
    try:
        with plugin_call("it"), redirect_stdout(sys.stderr):  # standard output is for results
            plugin = point.load()
            loaded.manager.register(plugin, name=point.name)
            # pluggy accepts hooks that it has no specification for until it is asked: a misspelt hook would
            # never be called. Asking after every plugin tells whose hook it is.
            loaded.manager.check_pending()
            if not loaded.manager.get_hookcallers(plugin):
                raise UPSError("it implements no hook; decorate its functions with ups_core.hookimpl")
            entries = _registrations(plugin, provider, loaded.manager)
    except Exception as error:
        if plugin is not None and loaded.manager.is_registered(plugin):
            loaded.manager.unregister(plugin)
        loaded.registry.failures.append(Failure(point.name, provider, _one_line(error)))
        return
    loaded.providers[point.name] = provider
    for entry in entries:
        try:
            loaded.registry.add(entry)
        except Exception as error:
            loaded.registry.failures.append(Failure(point.name, provider, _one_line(error)))


def _registrations(plugin: Any, provider: Provider, manager: pluggy.PluginManager) -> list[Entry]:
    """Call each registration hook of one plugin alone, so that others keep theirs if it raises."""
    entries: list[Entry] = []
    for kind in KINDS:
        hook = getattr(manager.hook, f"ups_register_{kind}")

        def register(
            name: str,
            factory: Any,
            *,
            config: Any,
            summary: str,
            former_names: Mapping[str, str] | None = None,
            cite: tuple[str, ...] = (),
            kind: str = kind,
        ) -> None:
            if any(entry.kind == kind and entry.name == name for entry in entries):
                raise UPSError(f"{singular(kind)} '{name}' is registered twice by {provider}")
            renamed = former_names or {}
            entries.append(Entry(kind, name, factory, config, summary, provider, renamed, cite))

        # Calling the hook itself would call every plugin's implementation and stop at one that raises.
        for implementation in hook.get_hookimpls():
            if implementation.plugin is plugin:
                implementation.function(register)
    return entries


def _one_line(error: BaseException) -> str:
    if isinstance(error, PluginExit) and error.__cause__ is not None:
        return described(error.__cause__)
    return " ".join(str(error).split()) if isinstance(error, UPSError) else described(error)
