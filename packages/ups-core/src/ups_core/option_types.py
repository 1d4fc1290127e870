"""Types of options in the terms of a spec: `integer >= 1 | null`, `list of loss`."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from ups_core.component import Registered
from ups_core.config import Config
from ups_core.kinds import singular

_SCALARS: dict[Any, str] = {
    bool: "true | false",
    int: "integer",
    float: "number",
    str: "text",
    type(None): "null",
}
_JSON = {
    "boolean": "true | false",
    "integer": "integer",
    "number": "number",
    "string": "text",
    "null": "null",
}


def type_text(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The type of an option.

    Args:
        annotation: as in the options class.
        metadata: what pydantic has taken from an outer `Annotated`.
    """
    flat = _flat(metadata)
    for item in flat:
        if isinstance(item, Registered):
            return singular(item.registry_kind)
        if isinstance(item, WithJsonSchema):  # the class declares what it accepts before conversion
            return _json_text(item.json_schema or {})
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0], annotation.__metadata__)
    if annotation in _SCALARS:
        return _SCALARS[annotation] + _bounds(flat)
    if origin is typing.Literal:
        return " | ".join(value if isinstance(value, str) else json.dumps(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(type_text, arguments)))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(map(type_text, arguments))}]"
    if origin in (list, tuple):
        return f"list of {type_text(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return "options"
    return "value"


def registered_in(annotation: Any, metadata: Sequence[Any] = ()) -> Registered | None:
    """The annotation of a component anywhere inside a type, or None."""
    if isinstance(annotation, Registered):
        return annotation
    inside = list(typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        inside += annotation.__metadata__
    return next(filter(None, map(registered_in, [*metadata, *inside])), None)


def _flat(metadata: Sequence[Any]) -> list[Any]:
    """`Field(ge=1)` inside a type keeps its bounds in a list of its own."""
    flat: list[Any] = []
    for item in metadata:
        flat += item.metadata if isinstance(item, FieldInfo) else [item]
    return flat


def _bounds(metadata: Sequence[Any]) -> str:
    """` >= 1`, ` from 0 to 1` where both ends count."""
    lower: list[Any] = [item for item in metadata if isinstance(item, (Ge, Gt))]
    upper: list[Any] = [item for item in metadata if isinstance(item, (Le, Lt))]
    if lower and upper and isinstance(lower[0], Ge) and isinstance(upper[0], Le):
        return f" from {lower[0].ge:g} to {upper[0].le:g}"
    signs = [f">= {item.ge:g}" if isinstance(item, Ge) else f"> {item.gt:g}" for item in lower]
    signs += [f"<= {item.le:g}" if isinstance(item, Le) else f"< {item.lt:g}" for item in upper]
    return f" {' and '.join(signs)}" if signs else ""


def _json_text(schema: Mapping[str, Any]) -> str:
    """The type that a JSON Schema allows."""
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(map(_json_text, schema["anyOf"])))
    if "additionalProperties" in schema:
        return f"mapping to {_json_text(schema['additionalProperties'])}"
    text = _JSON.get(str(schema.get("type")), "value")
    return f"{text} >= {schema['minimum']:g}" if "minimum" in schema else text
