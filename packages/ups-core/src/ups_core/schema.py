"""JSON Schema of the spec language and of single components, with every installed plugin.

Each kind of component becomes one definition that options refer to, because a component may contain its own
kind (an optimizer of several optimizers).
"""

from __future__ import annotations

from typing import Any

from ups_core.component import REGISTERED
from ups_core.entry import Entry
from ups_core.plugin_loader import registry_in_use
from ups_core.spec import PIPELINE, ROLES, PipelineSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def spec_schema() -> dict[str, Any]:
    """The schema of a complete spec, for editors."""
    kinds = _Kinds()
    schema = kinds.fill_in(_without_references(PipelineSpec.model_json_schema()))
    schema["properties"]["extends"] = {"type": "string", "description": "path of a spec to build on"}
    return {"$schema": DIALECT, **schema, "$defs": kinds.definitions}


def component_schema(entry: Entry, keyword: str = "kind") -> dict[str, Any]:
    """The schema of one registered component; the key `keyword` has its name."""
    kinds = _Kinds()
    schema = kinds.component(entry, keyword)
    return {**schema, "$defs": kinds.definitions} if kinds.definitions else schema


class _Kinds:
    """Definitions of the kinds that schemas refer to, made when they are first needed."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def fill_in(self, schema: Any) -> Any:
        """The schema with references in place of marks."""
        if isinstance(schema, list):
            return [self.fill_in(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        filled = {key: self.fill_in(value) for key, value in schema.items() if key != REGISTERED}
        return {"$ref": self._define(schema[REGISTERED]), **filled} if REGISTERED in schema else filled

    def component(self, entry: Entry, keyword: str) -> dict[str, Any]:
        """The schema of a component, its nested option groups written out."""
        schema: dict[str, Any] = self.fill_in(_without_references(entry.load_config().model_json_schema()))
        schema["properties"] = {keyword: {"const": entry.name}, **schema.get("properties", {})}
        schema["required"] = [keyword, *schema.get("required", [])]
        schema["title"] = f"{entry.kind}: {entry.name}"
        schema["description"] = entry.summary
        return schema

    def _define(self, kind: str) -> str:
        if kind not in self.definitions:
            self.definitions[kind] = {}  # while it is being made, its components may refer to it
            if kind == PIPELINE:
                choices = [
                    self.component(entry, role)
                    for role, registry_kind in ROLES.items()
                    for entry in registry_in_use().entries(registry_kind)
                ]
            else:
                entries = registry_in_use().entries(kind)
                choices = [self.component(entry, "kind") for entry in entries]
                # A component without required options may be given by its bare name.
                names = [c["properties"]["kind"]["const"] for c in choices if c["required"] == ["kind"]]
                choices += [{"enum": names}] if names else []
            self.definitions[kind] = {"oneOf": choices} if choices else {}
        return f"#/$defs/{kind}"


def _without_references(schema: dict[str, Any]) -> dict[str, Any]:
    """Pydantic's schema with its own definitions (nested option groups) in place of references to them."""
    definitions = schema.pop("$defs", {})
    inlined: dict[str, Any] = _inline(schema, definitions)
    return inlined


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        named = definitions[schema["$ref"].rpartition("/")[2]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _inline({**named, **beside}, definitions)
    return {key: _inline(value, definitions) for key, value in schema.items()}
