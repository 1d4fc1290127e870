"""What differs between two resolved specs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ups_core.document import KeyPath, dotted
from ups_core.errors import UPSError
from ups_core.reading import read_text
from ups_core.yamlreader import Unresolved, parse_yaml


def read_resolved(path: Path) -> dict[str, Any] | None:
    """A resolved spec, its references to the environment unresolved; None if it is not a spec."""
    try:
        content = parse_yaml(read_text(path), str(path), Unresolved()).data
    except UPSError:
        return None
    return content if isinstance(content, dict) else None


def flat(value: Any, path: KeyPath = ()) -> Mapping[str, Any]:
    """Dotted path of every scalar -> its value."""
    return dict(_leaves(value, path))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[str, Any]]:
    """Every scalar with its dotted path, entries of the pipeline by their id."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            name = item.get("id") if isinstance(item, dict) else None
            yield from _leaves(item, (*path, name or index))
    else:
        yield dotted(path), value


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """`key: old -> new` for every scalar that differs; arguments from :func:`flat`.

    A part that only one of them has, such as a step, is one line.
    """
    shown = set()
    for key in sorted({*before, *after}):
        if key in before and key in after:
            if before[key] != after[key]:
                yield f"{key}: {before[key]!r} -> {after[key]!r}"
            continue
        part = _missing_part(key, after if key in before else before)
        if part not in shown:
            shown.add(part)
            value = repr((before if key in before else after)[key]) if part == key else "(present)"
            yield f"{part}: {value} -> (absent)" if key in before else f"{part}: (absent) -> {value}"


def _missing_part(key: str, other: Mapping[str, Any]) -> str:
    """The shortest beginning of a key that no key of `other` has."""
    for end in (match.start() for match in re.finditer(r"[.\[]", key)):
        part = key[:end]
        if not any(found == part or found.startswith((f"{part}.", f"{part}[")) for found in other):
            return part
    return key
