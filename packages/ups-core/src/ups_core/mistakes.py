"""Pydantic's errors in the terms of a spec: what was expected, what was given, what was probably meant."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from ups_core.component import Registered
from ups_core.config import Config
from ups_core.default_options import over_default
from ups_core.document import Document, KeyPath
from ups_core.errors import Issue, non_ascii_hint, truncated
from ups_core.names import DESCRIPTIONS
from ups_core.registry import Registry
from ups_core.scalars import resolve_scalar
from ups_core.spec import ROLES, PipelineSpec, StepSpec


def explain_mistake(document: Document, detail: ErrorDetails, registry: Registry) -> Issue:
    """One of pydantic's errors as a mistake at its place in the spec."""
    path: KeyPath = tuple(key for key in detail["loc"] if not str(key).startswith("function-"))
    while path and not document.has(path) and detail["type"] != "missing":
        path = path[:-1]  # union members and tags are part of pydantic's path but not of the file's
    kind = detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        # Inside the entry of a default list, which the document does not have, nothing more is known.
        hint = _explain_key(key, document.data, path, registry) if path[-1] == key else ""
        return document.issue(path, f"unknown key '{truncated(key)}'{hint}")
    if kind == "missing":
        return document.issue(path[:-1], f"missing key '{path[-1]}'")
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "component_kind" and document.position(path).file.startswith("--set "):
        words = document.position(path).file.removeprefix("--set ").partition("=")[0].split(".")
        message += f"; it has no default, so set {'.'.join(words[: len(path)])}.kind before its options"
    if kind in ("unknown_component", "component_kind", "pipeline_entry"):
        return document.issue(path, message)
    given = detail["input"]
    if kind == "value_error" and isinstance(given, dict):  # a rule about several keys names them itself
        return document.issue(path, message)
    reference = document.interpolated.get(path)  # in place of the environment's value, maybe a secret
    return document.issue(path, f"{_expected(detail, message)}, got {reference or _given(given, kind)}")


_EXPECTED = {
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "string_type": "text",
}
"""Error types of pydantic with messages about JSON -> what a spec should have there."""


def _expected(detail: ErrorDetails, message: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"expected {DESCRIPTIONS.get(pattern, f'text of the pattern {pattern}')}"
    if kind == "too_short":
        return f"expected at least {_entries(context['min_length'])}"
    if kind == "too_long":
        return f"expected at most {_entries(context['max_length'])}"
    return message.replace("Input should be ", "expected ", 1)


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _given(value: Any, kind: str) -> str:
    if isinstance(value, (dict, list)):
        return ("a " if value else "an empty ") + ("mapping" if isinstance(value, dict) else "list")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    quoted = isinstance(value, str) and not isinstance(resolve_scalar(value), str)
    advice = "; remove the quotes" if quoted and not kind.startswith("string") else ""
    return truncated(repr(value)) + advice


def _explain_key(key: str, data: Any, path: KeyPath, registry: Registry) -> str:
    """The new name of a key of an earlier version, or what was probably meant."""
    config = _config_at(data, path[:-1], registry)
    if config is None:
        return non_ascii_hint(key)
    former = config.explain_former_key(key)
    if former is not None:
        return f"; {former}"
    hint = did_you_mean(key, sorted(config.model_fields)) or "; it has no options"
    return f"{non_ascii_hint(key)}{hint}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint at the most similar known word, or at all of them; "" where none is known."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def _config_at(data: Any, path: KeyPath, registry: Registry) -> type[Config] | None:
    """The options class of the mapping at `path`: follows the declared types down the path."""
    target: Any = PipelineSpec
    for key in path:
        data = data[key]
        if isinstance(target, type) and issubclass(target, Config):
            field = target.model_fields.get(str(key))
            if field is not None:
                data = over_default(field.get_default(call_default_factory=True), data)
            target = None if field is None else _target([field.annotation, *field.metadata], data, registry)
        else:
            inside = [kind for kind in typing.get_args(target) if kind is not Ellipsis]
            target = _target(inside[-1:], data, registry)
        if target is None:
            return None
    return target if isinstance(target, type) and issubclass(target, Config) else None


def _target(annotations: list[Any], value: Any, registry: Registry) -> Any:
    """The options class, or container type, that a value must satisfy."""
    # Metadata first: the type of a component option is `Component`, its options come from the registry.
    for annotation in annotations:
        if isinstance(annotation, Registered) and isinstance(value, Mapping):
            entry = registry.find(annotation.registry_kind, str(value.get("kind")))
            return entry.load_config() if entry else None
        if annotation is StepSpec and isinstance(value, Mapping):
            role = next((role for role in ROLES if role in value), None)
            entry = registry.find(ROLES[role], str(value[role])) if role else None
            return entry.load_config() if entry else None
        if isinstance(annotation, type) and issubclass(annotation, Config):
            return annotation
    for annotation in annotations:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated or origin in (typing.Union, types.UnionType):
            found = _target(list(typing.get_args(annotation)), value, registry)
            if found is not None:
                return found
        if origin in (dict, list, tuple):
            return annotation
    return None
