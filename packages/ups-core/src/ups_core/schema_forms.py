"""Forms of a schema that specs may have beside the plain one: references to the environment, and changes.

The value of `${env:NAME}` is unknown to an editor. A spec with `extends` holds only what it changes:
components without `kind`, none of what is required, and mappings in the place of lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

ENVIRONMENT = "environment"
"""Definition of text that holds a reference to the environment."""
CHANGES = "_changes"
"""Suffix of the definition of what a spec may change of a kind of component."""
LOCAL = "#/$defs/"

_REFERENCE = {"type": "string", "pattern": r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}"}
_NOTES = ("title", "description", "default")
_LIMITS = {"pattern", "minLength", "maxLength", "format"}


def with_environment(schema: Schema) -> Schema:
    """The schema of a document, with `${env:NAME}` in the place of every scalar that has limits."""
    allowed: Schema = _inside(schema)
    allowed["$defs"] = {**allowed.get("$defs", {}), ENVIRONMENT: _REFERENCE}
    return allowed


def _inside(schema: Any) -> Any:
    """Every value inside a schema, but not the value of the schema itself."""
    if isinstance(schema, list):
        return [_inside(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            found[key] = {name: _value(item) for name, item in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = _value(value)
        elif key == "prefixItems":
            found[key] = [_value(item) for item in value]
        elif key in ("anyOf", "oneOf", "then", "else"):
            found[key] = _inside(value)
        elif key == "$defs":
            found[key] = {name: _inside(item) for name, item in value.items()}
        else:
            found[key] = value
    return found


def _value(schema: Schema) -> Schema:
    inside: Schema = _inside(schema)
    reference = {"$ref": LOCAL + ENVIRONMENT}
    if "anyOf" in inside:
        return {**inside, "anyOf": [*inside["anyOf"], reference]}
    limited = "enum" in inside or inside.get("type") in ("integer", "number", "boolean")
    if not limited and not (inside.get("type") == "string" and _LIMITS & set(inside)):
        return inside
    notes = {key: inside.pop(key) for key in _NOTES if key in inside}
    return {**notes, "anyOf": [inside, reference]}


def changes(schema: Schema) -> Schema:
    """What a spec may change of a value of this schema."""
    if "$ref" in schema:
        return {**schema, "$ref": f"{schema['$ref']}{CHANGES}"}
    found: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            found[key] = {name: changes(item) for name, item in value.items()}
        elif key in ("anyOf", "oneOf"):
            found["anyOf"] = [changes(item) for item in value]
        elif key == "additionalProperties" and isinstance(value, dict):
            found[key] = changes(value)
        elif key != "required":
            found[key] = value
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        by_name = {"type": "object", "additionalProperties": changes(schema["items"])}
        notes = {key: found.pop(key) for key in _NOTES if key in found}
        return {**notes, "anyOf": [{**schema, **found}, by_name]}
    return found


def component_changes(choices: Sequence[Schema], keywords: Sequence[str]) -> Schema:
    """What a spec may change of a component: another one, or options of the one that is there.

    Args:
        choices: the alternatives of the complete schema.
        keywords: keys that name the component.
    """
    named = [choice for choice in choices if "properties" in choice]
    others = [choice for choice in choices if "properties" not in choice]
    merged: dict[str, list[Schema]] = {}
    for choice in named:
        for name, value in changes(choice)["properties"].items():
            same = merged.setdefault(name, [])
            if name not in keywords and _text(value) not in map(_text, same):
                same.append(value)
    options = {
        name: values[0] if len(values) == 1 else {"anyOf": values}
        for name, values in merged.items()
        if values
    }
    without_kind = {"type": "object", "properties": options, "additionalProperties": False}
    alternatives = [
        {**changes(choice), "required": [key for key in keywords if key in choice["properties"]]}
        for choice in named
    ]
    return {"anyOf": [*alternatives, *others, without_kind]}


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in schema.items() if key not in _NOTES}, sort_keys=True)
