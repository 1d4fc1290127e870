"""The registry: every component by kind and name, with the package that provides it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from ups_core.entry import Entry, Provider
from ups_core.errors import UPSError, non_ascii_hint, truncated
from ups_core.kinds import KINDS, singular


class DuplicateComponent(UPSError):
    """Two distributions register one name."""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, or a hook of it that raised."""

    entry_point: str
    provider: Provider
    error: str

    def __str__(self) -> str:
        return f"plugin {self.entry_point} ({self.provider}) failed: {self.error}"


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
        if other is not None:  # the entry stays, but `find` no longer returns it
            self._conflicts[key] = (
                f"{singular(entry.kind)} '{entry.name}' is provided by both {other.provider} and "
                f"{entry.provider}; rename one (third parties: 'yourname/{entry.name}') or choose plugins "
                "with UPS_PLUGINS"
            )
            raise DuplicateComponent(self._conflicts[key])
        self._entries[key] = entry

    def find(self, kind: str, name: str) -> Entry | None:
        """The component, or None unless exactly one distribution provides it."""
        return None if (kind, name) in self._conflicts else self._entries.get((kind, name))

    def get(self, kind: str, name: str) -> Entry:
        """The component.

        Raises:
            UPSError: it is unknown or ambiguous; the message suggests a name and lists failed plugins.
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
            return f"expected the name of {KINDS[kind].article} {singular(kind)}; {hint}"
        renamed = next((entry for entry in self.entries(kind) if name in entry.former_names), None)
        if renamed is not None:
            version = renamed.former_names[name]
            return f"unknown {singular(kind)} '{name}'; renamed to '{renamed.name}' in {version}"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else hint
        other = next((entry.kind for entry in self.entries() if entry.name == name), None)
        remark = f" (it is {KINDS[other].article} {singular(other)})" if other else non_ascii_hint(name)
        message = f"unknown {singular(kind)} '{truncated(name)}'{remark}; {hint}"
        if self.failures:
            message += "; " + "; ".join(map(str, self.failures)) + " (see 'ups plugins')"
        return message
