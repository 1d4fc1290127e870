"""The plug board: every registered component by kind and name, with the package that provides it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ups_core.errors import UPSError, foreign, shown

if TYPE_CHECKING:
    from ups_core.config import Config

KINDS = (
    "tasks", "sources", "models", "losses", "optimizers", "schedulers", "strategies", "stages",
    "metrics", "evaluations", "launchers", "trackers", "callbacks", "commands",
)  # fmt: skip
"""One kind for every `ups_register_<kind>` hook."""


def singular(kind: str) -> str:
    """`strategies` -> `strategy`, `models` -> `model`."""
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("es" if kind == "losses" else "s")


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


def load_object(reference: object) -> Any:
    """Resolve a lazy `"module:attribute"`; anything else is returned as it is."""
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    if not attribute:
        raise UPSError(f"'{reference}' is not of the form 'module:attribute'")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target


@dataclass(frozen=True)
class Entry:
    """One registered component. `factory` and `config` may be lazy `"module:attribute"` strings."""

    kind: str
    name: str
    factory: Callable[..., Any] | str
    config: type[Config] | str
    summary: str
    provider: Provider

    def load(self) -> Callable[..., Any]:
        """Import and return the factory, which is called as `factory(config, **dependencies)`.

        Raises:
            UPSError: the plugin's module cannot be imported.
        """
        loaded: Callable[..., Any] = self._load(self.factory)
        return loaded

    def load_config(self) -> type[Config]:
        """Import and return the options class."""
        loaded: type[Config] = self._load(self.config)
        return loaded

    def _load(self, reference: object) -> Any:
        try:
            return load_object(reference)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise UPSError(
                f"{self.kind} '{self.name}' of {self.provider} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error


@dataclass
class Registry:
    """All components that the installed plugins provide, and the plugins that failed to."""

    _entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    _conflicts: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Register one component.

        A name that two distributions provide is usable from neither: guessing would train another model
        than the one that was meant.

        Raises:
            DuplicateComponent: the name is taken; the message names both distributions.
            UPSError: the kind does not exist.
        """
        if entry.kind not in KINDS:
            raise UPSError(f"there is no component kind '{entry.kind}'; kinds: {', '.join(KINDS)}")
        key = entry.kind, entry.name
        other = self._entries.get(key)
        if other is not None:
            self._conflicts[key] = (
                f"{entry.kind} '{entry.name}' is provided by both {other.provider} and {entry.provider}; "
                f"rename one (third parties: 'yourname/{entry.name}') or choose plugins with UPS_PLUGINS"
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
        return sorted(
            (entry for entry in self._entries.values() if kind in (None, entry.kind)),
            key=lambda entry: (KINDS.index(entry.kind), entry.name),
        )

    def explain_missing(self, kind: str, name: object) -> str:
        """Why `name` cannot be used, what was probably meant, and which plugin failed to provide it."""
        if (kind, str(name)) in self._conflicts:
            return self._conflicts[kind, str(name)]
        known = [entry.name for entry in self.entries(kind)]
        hint = f"known: {', '.join(known) or 'none'}"
        if not isinstance(name, str):
            return f"expected the name of one of the {kind}; {hint}"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else hint
        other = next((entry.kind for entry in self.entries() if entry.name == name), None)
        remark = f" (it is one of the {other})" if other else foreign(name)
        message = f"no {singular(kind)} is called '{shown(name)}'{remark}; {hint}"
        if self.failures:
            message += "; " + "; ".join(map(str, self.failures)) + " (see 'ups plugins')"
        return message


def registry_in_use() -> Registry:
    """The process's registry; the first call loads the installed plugins."""
    from ups_core.plugins import plugins_in_use

    return plugins_in_use().registry
