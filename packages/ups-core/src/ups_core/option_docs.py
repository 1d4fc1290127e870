"""Options classes as documentation: every option with type, default and meaning, in the terms of a spec."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from ups_core.config import Config
from ups_core.option_types import registered_in, type_text


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: its key; dotted inside a group, as `--set` takes it.
        type: what values it takes.
        default: the default as a spec would have it; None where the option is required, "" for a group.
        meaning: what it does, as plain text on one line.
    """

    name: str
    type: str
    default: str | None
    meaning: str


@dataclass(frozen=True)
class OptionGroup:
    """Options that one class of the hierarchy declares; `title` is the summary of that class."""

    title: str
    options: Sequence[Option]


def document_options(config: type[Config]) -> list[OptionGroup]:
    """The options of a class: its own first, then those of each base, so that the most general come last."""
    groups, seen = [], set[str]()
    for declaring in config.__mro__:
        if isinstance(declaring, type) and issubclass(declaring, Config):
            # pydantic's model_fields mixes inherited options with own ones; annotations are a class's own.
            own = [name for name in declaring.__annotations__ if name in config.model_fields]
            names = [name for name in own if name not in seen]
            seen.update(names)
            options = [option for name in names for option in _options(name, config.model_fields[name])]
            if options:
                groups.append(OptionGroup(summary_of(declaring), options))
    return groups


def summary_of(config: type[Config]) -> str:
    """The first sentence of a class's own docstring, "" where it has none."""
    first = " ".join((config.__doc__ or "").split()).partition(". ")[0]
    return first.rstrip(".")


def _options(name: str, field: FieldInfo) -> Iterator[Option]:
    """The option, and those of a group inside it."""
    meaning = " ".join((field.description or "").split())
    registered = registered_in(field.annotation, field.metadata)
    if registered is not None:
        meaning += f" See 'ups list {registered.registry_kind}'."
    yield Option(name, type_text(field.annotation, field.metadata), _default(field), meaning.strip())
    group, place = _group(field.annotation)
    if group is not None:
        for inner, inner_field in group.model_fields.items():
            yield from _options(f"{name}{place}.{inner}", inner_field)


def _group(annotation: Any) -> tuple[type[Config] | None, str]:
    """The options class of a nested group, and `[]` where there is a list of such groups."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation, ""
    origin = typing.get_origin(annotation)
    if origin in (list, tuple):
        return _group(typing.get_args(annotation)[0])[0], "[]"
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        for argument in typing.get_args(annotation):
            group, place = _group(argument)
            if group is not None:
                return group, place
    return None, ""


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return "" if isinstance(value, Config) else _brief(value)


def _brief(value: Any) -> str:
    """A default as a spec would have it: a component without options by its bare name."""
    if isinstance(value, Mapping):
        if set(value) == {"kind"}:
            return str(value["kind"])
        return f"{{{', '.join(f'{key}: {_brief(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_brief, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)
