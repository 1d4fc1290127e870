"""JSON Schema of specs and components: complete, finite, and every reference leads somewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ups_core.cli.main import main as ups
from ups_core.component import REGISTERED
from ups_core.plugin_loader import registry_in_use
from ups_core.schema import component_schema, spec_schema


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def check_complete(schema: dict[str, Any]) -> None:
    assert REGISTERED not in json.dumps(schema)
    definitions = {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    assert set(references(schema)) <= definitions


def kinds(schema: dict[str, Any], keyword: str = "kind") -> list[str]:
    """What a definition's alternatives are called."""
    return [
        choice["properties"][keyword]["const"]
        for choice in schema["oneOf"]
        if keyword in choice.get("properties", {})
    ]


@pytest.mark.usefixtures("toy")
def test_the_schema_of_specs_covers_the_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == json.loads(json.dumps(spec_schema()))
    check_complete(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    definitions = schema["$defs"]
    spec = definitions["spec"]
    assert spec["properties"]["model"]["$ref"] == "#/$defs/models"
    assert kinds(definitions["models"]) == ["toy/constant", "toy/net", "toy/other"]
    assert kinds(definitions["pipeline"], "stage") == ["toy/train"]
    assert kinds(definitions["pipeline"], "evaluate") == ["toy/gate", "toy/page", "toy/score", "toy/summary"]
    assert spec["properties"]["pipeline"]["items"] == {"$ref": "#/$defs/pipeline"}
    assert spec["properties"]["extends"]["type"] == "string"
    assert {"version", "name", "tasks", "model", "pipeline"} == set(spec["required"])
    assert "required" not in definitions["spec_changes"]


@pytest.mark.usefixtures("toy")
def test_components_without_required_options_may_be_bare_names() -> None:
    definitions = spec_schema()["$defs"]
    assert definitions["optimizers"]["oneOf"][-1] == {"enum": ["toy/adam", "toy/sgd"]}
    assert "toy/chain" in kinds(definitions["optimizers"])


@pytest.mark.usefixtures("toy")
def test_a_kind_that_contains_itself_refers_to_itself() -> None:
    entry = registry_in_use().get("optimizers", "toy/chain")
    schema = component_schema(entry)
    check_complete(schema)
    assert schema["properties"]["links"]["items"] == {"$ref": "#/$defs/optimizers"}
    assert kinds(schema["$defs"]["optimizers"]) == ["toy/adam", "toy/chain", "toy/sgd"]


@pytest.mark.usefixtures("toy")
def test_a_component_has_its_options_with_types_defaults_and_meanings() -> None:
    schema = component_schema(registry_in_use().get("stages", "toy/train"), keyword="stage")
    check_complete(schema)
    assert schema["title"] == "stages: toy/train"
    assert schema["description"] == "trains"
    assert schema["properties"]["stage"] == {"const": "toy/train"}
    assert schema["required"] == ["stage"]
    epochs = schema["properties"]["epochs"]
    assert (epochs["type"], epochs["minimum"], epochs["default"]) == ("integer", 1, 1)
    assert epochs["description"] == "Ticks."
    assert schema["additionalProperties"] is False
    saving = schema["properties"]["saving"]
    assert saving["properties"]["keep"]["maximum"] == 9, "a nested group is written out"
    assert "$defs" not in saving


@pytest.mark.usefixtures("toy")
def test_a_component_without_components_needs_no_definitions() -> None:
    assert "$defs" not in component_schema(registry_in_use().get("models", "toy/net"))


def test_every_installed_component_has_a_finite_schema() -> None:
    for entry in registry_in_use().entries():
        schema = component_schema(entry)
        check_complete(schema)
        json.dumps(schema)
