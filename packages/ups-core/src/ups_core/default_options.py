"""Options of a default: a mapping without `kind` sets options of the component that an option has by default.

`optimizer: {lr: 1e-3}` keeps the default optimizer. In the place of a list of components, a mapping changes
the default's entries by name or number, as it does with `extends`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ups_core.config import Config


def with_default_kinds(config: type[Config], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with the `kind` and the other options of every default that a mapping changes."""
    filled = dict(options)
    for name, field in config.model_fields.items():
        value = options.get(name)
        if isinstance(value, Mapping):
            group = _group(field.annotation)
            default = field.get_default(call_default_factory=True)
            filled[name] = with_default_kinds(group, value) if group else over_default(default, value)
    return filled


def over_default(default: Any, value: Any) -> Any:
    """A value as the document has it, with what it leaves to the default."""
    if not isinstance(value, Mapping) or "kind" in value:
        return value
    if isinstance(default, Mapping):
        return {**default, **value} if "kind" in default else value
    if isinstance(default, (list, tuple)) and value:
        entries = [{"kind": entry} if isinstance(entry, str) else entry for entry in default]
        places = {key: _place(entries, key) for key in value}
        if None not in places.values():
            for key, place in places.items():
                assert place is not None
                entries[place] = over_default(entries[place], value[key])
            return entries
    return value


def _place(entries: Sequence[Any], key: str) -> int | None:
    """The number of the entry with this name or number."""
    names = [entry.get("kind") for entry in entries if isinstance(entry, Mapping)]
    if key in names and len(names) == len(entries):
        return names.index(key)
    return int(key) if key.isdecimal() and int(key) < len(entries) else None


def _group(annotation: Any) -> type[Config] | None:
    """The options class of a nested group, also of one that may be null."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(filter(None, map(_group, typing.get_args(annotation))), None)
    return None
