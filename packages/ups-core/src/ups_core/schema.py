"""JSON Schema of the spec language and of single components, with every installed plugin.

Each kind of component becomes one definition that options refer to, because a component may contain its own
kind (an optimizer of several optimizers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ups_core.component import REGISTERED
from ups_core.entry import Entry
from ups_core.errors import UPSError
from ups_core.plugin_calls import plugin_call
from ups_core.plugin_loader import registry_in_use
from ups_core.schema_forms import CHANGES, ENVIRONMENT, LOCAL, changes, component_changes, with_environment
from ups_core.spec import PIPELINE, ROLES, PipelineSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SPEC = "spec"
"""Definition of a complete spec; `spec_changes` is that of a spec with `extends`."""


def spec_schema(problems: list[str] | None = None) -> dict[str, Any]:
    """The schema of a spec, for editors: complete, or with `extends` what it changes.

    Args:
        problems: gets a line for every component that has no schema, because its options cannot be loaded.
    """
    kinds = _Kinds(written=True, problems=problems)
    schema = kinds.fill_in(_without_references(PipelineSpec.model_json_schema()))
    schema["properties"]["extends"] = {"type": "string", "description": "path of a spec to build on"}
    changed = {
        f"{name}{CHANGES}": component_changes(
            definition.get("oneOf", []), tuple(ROLES) if name == PIPELINE else ("kind",)
        )
        for name, definition in kinds.definitions.items()
    }
    return with_environment(
        {
            "$schema": DIALECT,
            "title": schema["title"],
            "description": schema["description"],
            "type": "object",
            "if": {"required": ["extends"]},
            "then": {"$ref": f"{LOCAL}{SPEC}{CHANGES}"},
            "else": {"$ref": f"{LOCAL}{SPEC}"},
            "$defs": {SPEC: schema, f"{SPEC}{CHANGES}": changes(schema), **kinds.definitions, **changed},
        }
    )


def component_schema(entry: Entry, keyword: str = "kind") -> dict[str, Any]:
    """The schema of one registered component; the key `keyword` has its name."""
    kinds = _Kinds(written=False)
    schema = kinds.component(entry, keyword)
    return {**schema, "$defs": kinds.definitions} if kinds.definitions else schema


class _Kinds:
    """Definitions of the kinds that schemas refer to, made when they are first needed.

    Args:
        written: whether to allow what only a document has: references to the environment, and options of a
            default component without its `kind`.
    """

    def __init__(self, written: bool, problems: list[str] | None = None) -> None:
        self.written = written
        self.problems = [] if problems is None else problems
        self.definitions: dict[str, Any] = {}

    def fill_in(self, schema: Any) -> Any:
        """The schema with references in place of marks."""
        if isinstance(schema, list):
            return [self.fill_in(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        filled = {key: self.fill_in(value) for key, value in schema.items() if key != REGISTERED}
        if "patternProperties" in filled:  # pydantic leaves open what other keys mean
            filled.setdefault("additionalProperties", False)
        if REGISTERED not in schema:
            return filled
        kind = schema[REGISTERED]
        reference = {"$ref": self._define(kind)}
        default = schema.get("default")
        if self.written and isinstance(default, Mapping) and "kind" in default:
            return {"anyOf": [reference, {"$ref": self._define_default(kind, default["kind"])}], **filled}
        return {**reference, **filled}

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
            roles = ROLES if kind == PIPELINE else {"kind": kind}
            choices = [
                choice
                for keyword, registry_kind in roles.items()
                for entry in registry_in_use().entries(registry_kind)
                if (choice := self._usable(entry, keyword)) is not None
            ]
            if self.written:
                choices += [_named_by_environment(keyword) for keyword in roles]
            if kind != PIPELINE:
                choices += [{"$ref": f"{LOCAL}{ENVIRONMENT}"}] if self.written else []
                # A component without required options may be given by its bare name.
                named = [choice for choice in choices if choice.get("required") == ["kind"]]
                names = [choice["properties"]["kind"]["const"] for choice in named if "properties" in choice]
                choices += [{"enum": names}] if names else []
            self.definitions[kind] = {"oneOf": choices} if choices else {}
        return f"{LOCAL}{kind}"

    def _usable(self, entry: Entry, keyword: str) -> dict[str, Any] | None:
        """The schema of a component; None where a faulty plugin has none, so that others have theirs."""
        try:
            with plugin_call(f"the options of {entry}", bugs=True):
                return self.component(entry, keyword)
        except UPSError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def _define_default(self, kind: str, name: str) -> str:
        """The options of a default component, which a document gives without its `kind`."""
        key = f"{kind}:{name}"
        if key not in self.definitions:
            self.definitions[key] = {}
            entry = registry_in_use().find(kind, name)
            options = self.component(entry, "kind") if entry else {"properties": {}, "required": []}
            options["properties"].pop("kind", None)
            options["required"] = [option for option in options["required"] if option != "kind"]
            self.definitions[key] = {"oneOf": [options]}
        return f"{LOCAL}{key}"


def _named_by_environment(keyword: str) -> dict[str, Any]:
    """A component whose name, and so whose options, only the environment knows."""
    named = {f"^{keyword}$": {"$ref": f"{LOCAL}{ENVIRONMENT}"}}
    return {"type": "object", "patternProperties": named, "required": [keyword]}


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
