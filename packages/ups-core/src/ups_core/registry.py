"""The registry: every component by kind and name, with the package that provides it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ups_core.config import Config
from ups_core.errors import UPSError, non_ascii_hint, truncated
from ups_core.kinds import KINDS, singular
from ups_core.references import load_object


class DuplicateComponent(UPSError):
    """Two distributions register one name."""


@dataclass(frozen=True)
class Provider:
    """The distribution that registered a component."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, or a hook of it that raised."""

    entry_point: str
    provider: Provider
    error: str

    def __str__(self) -> str:
        return f"plugin {self.entry_point} ({self.provider}) failed: {self.error}"


@dataclass(frozen=True)
class Entry:
    """One registered component.

    Attributes:
        kind: the registry's name, e.g. `models`.
        name: what a spec calls the component.
        factory: callable as `factory(config, **dependencies)`, or a lazy `"module:attribute"`.
        config: the options class, or a lazy `"module:attribute"`.
        summary: one line for `ups list`.
        provider: the distribution that registered it.
        former_names: names that it had in earlier versions; using one is an error that names the new one.
    """

    kind: str
    name: str
    factory: Callable[..., Any] | str
    config: type[Config] | str
    summary: str
    provider: Provider
    former_names: tuple[str, ...] = ()

    def check(self) -> None:
        """Check what can be checked without importing anything.

        Raises:
            UPSError: the factory is not callable, or the options class is not one of this kind.
        """
        if not isinstance(self.factory, str) and not callable(self.factory):
            raise UPSError(f"{self}: the factory {self.factory!r} is not callable")
        if not isinstance(self.config, str):
            self._check_config(self.config)

    def load(self) -> Callable[..., Any]:
        """Import and return the factory, which is called as `factory(config, **dependencies)`.

        Raises:
            UPSError: the plugin's module cannot be imported.
        """
        loaded: Callable[..., Any] = self._load(self.factory)
        return loaded

    def load_config(self) -> type[Config]:
        """Import and return the options class.

        Raises:
            UPSError: the plugin's module cannot be imported, or the class is not one of this kind.
        """
        loaded: type[Config] = self._load(self.config)
        self._check_config(loaded)
        return loaded

    def create(self, config: Config, **dependencies: Any) -> Any:
        """Call the factory and check that what it makes has the methods of this kind.

        Raises:
            UPSError: the module cannot be imported, or the object lacks a method; the message names it.
        """
        made = self.load()(config, **dependencies)
        missing = KINDS[self.kind].missing(made)
        if missing:
            raise UPSError(f"{self}: its {type(made).__name__} has no '{missing[0]}'")
        return made

    def _check_config(self, config: object) -> None:
        base = KINDS[self.kind].load_base()
        if not (isinstance(config, type) and issubclass(config, base)):
            name = getattr(config, "__name__", repr(config))
            raise UPSError(f"{self}: its options class {name} must subclass ups_core.{base.__name__}")

    def _load(self, reference: object) -> Any:
        try:
            return load_object(reference)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise UPSError(f"cannot load {self}: {type(error).__name__}: {error}") from error

    def __str__(self) -> str:
        return f"{singular(self.kind)} '{self.name}' of {self.provider}"


@dataclass
class Registry:
    """All components that the installed plugins provide, and the plugins that failed to load."""

    _entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _conflicts: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Register one component.

        A name that two distributions provide is usable from neither: guessing would train another model
        than the one that was meant.

        Raises:
            DuplicateComponent: the name is taken; the message names both distributions.
            UPSError: the kind does not exist, or the component does not fit it.
        """
        if entry.kind not in KINDS:
            raise UPSError(f"unknown component kind '{entry.kind}'; kinds: {', '.join(KINDS)}")
        entry.check()
        key = entry.kind, entry.name
        other = self._entries.get(key)
        if other is not None:
            self._conflicts[key] = (
                f"{singular(entry.kind)} '{entry.name}' is provided by both {other.provider} and "
                f"{entry.provider}; rename one (third parties: 'yourname/{entry.name}') or choose plugins "
                "with UPS_PLUGINS"
            )
            raise DuplicateComponent(self._conflicts[key])
        self._entries[key] = entry

    def find(self, kind: str, name: str) -> Entry | None:
        """The component, or None where nobody, or more than one distribution, provides it."""
        return None if (kind, name) in self._conflicts else self._entries.get((kind, name))

    def get(self, kind: str, name: str) -> Entry:
        """The component.

        Raises:
            UPSError: nobody provides it; the message suggests a near name and names failed plugins.
        """
        entry = self.find(kind, name)
        if entry is None:
            raise UPSError(self.explain_missing(kind, name))
        return entry

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All components, or those of one kind, sorted by kind and name."""
        order = list(KINDS)
        return sorted(
            (entry for entry in self._entries.values() if kind in (None, entry.kind)),
            key=lambda entry: (order.index(entry.kind), entry.name),
        )

    def explain_missing(self, kind: str, name: object) -> str:
        """Why `name` cannot be used, what was probably meant, and which plugin failed to provide it."""
        if (kind, str(name)) in self._conflicts:
            return self._conflicts[kind, str(name)]
        known = [entry.name for entry in self.entries(kind)]
        hint = f"known: {', '.join(known) or 'none'}"
        if not isinstance(name, str):
            return f"expected the name of a {singular(kind)}; {hint}"
        renamed = next((entry for entry in self.entries(kind) if name in entry.former_names), None)
        if renamed is not None:
            return f"unknown {singular(kind)} '{name}'; renamed to '{renamed.name}' in {renamed.provider}"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else hint
        other = next((entry.kind for entry in self.entries() if entry.name == name), None)
        remark = f" (it is a {singular(other)})" if other else non_ascii_hint(name)
        message = f"unknown {singular(kind)} '{truncated(name)}'{remark}; {hint}"
        if self.failures:
            message += "; " + "; ".join(map(str, self.failures)) + " (see 'ups plugins')"
        return message
