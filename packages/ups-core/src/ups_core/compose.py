"""Putting one spec together from its file, the files it extends and `--set` overrides."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ups_core.document import Document, Key, KeyPath, Position
from ups_core.errors import Issue, SpecError, truncated
from ups_core.yaml_nodes import MAX_DEPTH
from ups_core.yamlreader import parse_yaml, read_yaml

MAX_EXTENDS = 10
Known = TypeVar("Known")


def read_spec(
    path: Path, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Document:
    """Read a spec with everything that `extends` names, then apply `--set key.path=value` overrides.

    Child values win; mappings merge deeply, except that a mapping whose `kind` differs replaces its base
    (options of another component mean nothing to it); lists replace, and a mapping in the place of a list
    changes the entries that its keys name by id or number. An override of `kind` replaces too.

    Raises:
        SpecError: see :func:`ups_core.yamlreader.read_yaml`; also a cycle of `extends` or a bad override.
    """
    document = _read_chain(Path(path), (), environment)
    for override in overrides:
        apply_override(document, override, environment)
    return document


def _read_chain(path: Path, seen: tuple[Path, ...], environment: Mapping[str, str] | None) -> Document:
    document = read_yaml(path, environment)
    if not isinstance(document.data, dict):
        empty = document.data is None
        found = "an empty file" if empty else "a list" if isinstance(document.data, list) else "text"
        raise SpecError([document.issue((), f"expected a mapping with the key 'pipeline', got {found}")])
    base_name = document.data.pop("extends", None)
    if base_name is None:
        return document
    at = ("extends",)
    if not isinstance(base_name, str) or not base_name:
        raise SpecError([document.issue(at, "expected the path of another spec")])
    base_path = path.parent / os.path.expanduser(base_name)
    if not os.path.isfile(base_path):
        raise SpecError([document.issue(at, f"no such file '{truncated(str(base_path))}'")])
    chain = (*seen, path.resolve())  # resolved, so that a link or `./` cannot hide a circle
    if base_path.resolve() in chain:
        raise SpecError([document.issue(at, f"circular 'extends': '{base_name}' extends this file")])
    if len(chain) > MAX_EXTENDS:
        raise SpecError([document.issue(at, f"more than {MAX_EXTENDS} files extend one another; merge some")])
    base = _read_chain(base_path, chain, environment)
    base.environment |= document.environment
    _merge(base, (), document, (), document.data)
    base.file = document.file
    return base


def _merge(base: Document, path: KeyPath, child: Document, source: KeyPath, value: Any) -> None:
    """Write the child's `value`, which is at `source` there, to `path` of the base document."""
    target = _get(base.data, path)
    if isinstance(value, dict) and isinstance(target, list):
        for key, item in value.items():
            index = _key(target, str(key))
            if index is None:
                raise SpecError([child.issue((*source, key), _no_entry(target, str(key)))])
            _merge(base, (*path, index), child, (*source, key), item)
        return
    if isinstance(value, dict) and isinstance(target, dict):
        # Another component's options mean nothing to this one; a spec itself has no kind.
        replaces = path and "kind" in value and "kind" in target and value["kind"] != target["kind"]
        if not replaces:
            base.positions[path] = child.position(
                source
            )  # an error about several keys names the child's place
            for key, item in value.items():
                _merge(base, (*path, key), child, (*source, key), item)
            return
    _forget(base, path)
    if isinstance(target, str) and isinstance(value, dict):
        base.short_forms[path] = target
    base.positions |= _moved(child.positions, source, path)
    base.interpolated |= _moved(child.interpolated, source, path)
    _get(base.data, path[:-1])[path[-1]] = value


def _moved(known: Mapping[KeyPath, Known], source: KeyPath, path: KeyPath) -> dict[KeyPath, Known]:
    """What is known about the places inside `source`, now at `path`."""
    size = len(source)
    return {(*path, *key[size:]): what for key, what in known.items() if key[:size] == source}


def open_short_forms(document: Document) -> None:
    """Give options that extend a component's bare name the name as `kind`: they do not mean the default."""
    for path, name in document.short_forms.items():
        options = _get(document.data, path)
        if isinstance(options, dict) and "kind" not in options:
            _get(document.data, path[:-1])[path[-1]] = {"kind": name, **options}


def _forget(document: Document, path: KeyPath) -> None:
    """Drop what is known about the places of a value that another one replaces."""
    for record in (document.positions, document.interpolated, document.short_forms):
        for old in [key for key in record if key[: len(path)] == path]:
            record.pop(old)


def _get(data: Any, path: KeyPath) -> Any:
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def apply_override(document: Document, override: str, environment: Mapping[str, str] | None = None) -> None:
    """Apply one `key.path=value`; a pipeline entry is addressed by its number or its id.

    Raises:
        SpecError: it is not `key.path=value`, the value is not YAML, or the path leads nowhere.
    """
    name, separator, text = override.partition("=")
    here = Position(f"--set {override}", 0, 0)

    def mistake(message: str) -> SpecError:
        return SpecError([Issue(here.file, 0, 0, "", message)])

    if not separator or not name.strip():
        raise mistake("write it as key.path=value")
    value = parse_yaml(text, here.file, environment)
    document.environment |= value.environment
    path: list[Key] = []
    data: Any = document.data
    parts = name.strip().split(".")
    if len(parts) > MAX_DEPTH:
        raise mistake(f"a spec may have at most {MAX_DEPTH} levels")
    for index, part in enumerate(parts):
        key = _key(data, part)
        if key is None:
            raise mistake(_no_entry(data, part))
        path.append(key)
        if index < len(parts) - 1:
            _open_short_form(data, key)
            if isinstance(data, dict) and not isinstance(data.get(key), (dict, list)):
                data[key] = {}
                document.positions[tuple(path)] = here
            data = data[key]
            if not isinstance(data, (dict, list)):
                raise mistake(f"'{'.'.join(parts[: index + 1])}' is not a mapping")
    where = tuple(path)
    if len(path) > 1 and path[-1] == "kind" and data.get("kind", value.data) != value.data:
        _forget(document, where[:-1])
        data.clear()  # as with `extends`: the options of another component mean nothing to this one
    _forget(document, where)
    data[path[-1]] = value.data
    document.positions[where] = here
    document.interpolated |= {(*where, *key): original for key, original in value.interpolated.items()}


def _open_short_form(data: Any, key: Key) -> None:
    """Make a mapping of a component that is written as its name, so that options can be set."""
    value = data.get(key) if isinstance(data, dict) else data[key]
    if isinstance(value, str):
        data[key] = {"kind": value}


def _key(data: Any, part: str) -> Key | None:
    """The key or index that `part` of a path means; None where a list has no such entry."""
    if not isinstance(data, list):
        return part
    names = [_name(item) for item in data]
    if part in names:
        return names.index(part)
    index = int(part) if re.fullmatch("-?[0-9]{1,9}", part) else len(data)
    return index % len(data) if -len(data) <= index < len(data) else None


def _name(item: Any) -> str | None:
    """What an entry of a list is addressed by."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else None
    name = item.get("id") or item.get("stage") or item.get("evaluate") or item.get("kind")
    return name if isinstance(name, str) else None


def _no_entry(data: list[Any], part: str) -> str:
    names = [name for item in data if (name := _name(item)) is not None]
    known = f"entries: {', '.join(names)}" if names else f"it has {len(data)}"
    return f"no entry '{truncated(part)}' in this list; {known}"
