"""Components: options that are themselves registered, validated with the spec in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import ValidationError, field_validator

from ups_core import (
    Component,
    Config,
    Registered,
    StageConfig,
    UPSError,
    default_component,
    validate_options,
)
from ups_core.component import components
from ups_core.plugin_loader import registry_in_use

pytestmark = pytest.mark.usefixtures("toy")


class Options(Config):
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("toy/sgd", lr=0.5)
    more: list[Annotated[Component, Registered("optimizers")]] = []
    by_name: dict[str, Annotated[Component, Registered("models")]] = {}
    pair: tuple[int, ...] = ()


def read(**options: Any) -> Options:
    return validate_options(Options, options)


def problems(**options: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationError) as caught:
        read(**options)
    return [error["loc"] for error in caught.value.errors()]


def test_a_component_is_a_name_or_a_mapping() -> None:
    short, long = read(optimizer="toy/sgd"), read(optimizer={"kind": "toy/sgd", "lr": 1e-3})
    assert short == long
    assert short.optimizer.kind == "toy/sgd"
    assert short.optimizer.config.lr == 1e-3  # type: ignore[attr-defined]
    assert short.optimizer == long.optimizer
    assert hash(short.optimizer) == hash(long.optimizer)
    assert short.optimizer != read(optimizer={"kind": "toy/sgd", "lr": 2e-3}).optimizer
    assert short.optimizer != read(optimizer="toy/adam").optimizer
    assert repr(short.optimizer) == "Component({'kind': 'toy/sgd', 'lr': 0.001})"


def test_a_default_is_validated_as_a_value_is() -> None:
    assert read().optimizer.to_dict() == {"kind": "toy/sgd", "lr": 0.5}

    class Broken(Config):
        optimizer: Annotated[Component, Registered("optimizers")] = default_component("toy/sgd", lr=-1.0)

    with pytest.raises(ValidationError, match="greater than 0"):
        validate_options(Broken, {})


def test_every_mistake_is_reported_with_its_path() -> None:
    assert problems(optimizer={"kind": "toy/sgd", "lr": -1, "x": 1}, more=["toy/sgd", {"lr": 1}, 3]) == [
        ("optimizer", "lr"),
        ("optimizer", "x"),
        ("more", 1),
        ("more", 2),
    ]
    assert problems(optimizer="nothing") == [("optimizer", "kind")]
    assert problems(more=[{"kind": ["toy/sgd"]}]) == [("more", 0, "kind")]
    assert problems(by_name={"a": "toy/net", "b": {"kind": "toy/sgd"}}) == [("by_name", "b", "kind")]


def test_a_component_may_hold_its_own_kind() -> None:
    chain = {
        "kind": "toy/chain",
        "links": ["toy/sgd", {"kind": "toy/chain", "links": [{"kind": "toy/adam", "lr": 2.0}]}],
    }
    made = read(optimizer=chain)
    names = [component.kind for component in components(made)]
    assert names == ["toy/chain", "toy/sgd", "toy/chain", "toy/adam"]
    inner = {"kind": "toy/chain", "links": [{"kind": "toy/adam", "lr": 2.0}]}
    assert made.optimizer.to_dict() == {
        "kind": "toy/chain",
        "links": [{"kind": "toy/sgd", "lr": 1e-3}, inner],
    }
    assert problems(optimizer={"kind": "toy/chain", "links": [{"kind": "toy/chain", "links": [3]}]}) == [
        ("optimizer", "links", 0, "links", 0)
    ]


def test_components_are_found_at_any_depth() -> None:
    made = read(more=["toy/adam"], by_name={"a": "toy/net", "b": "toy/constant"})
    assert [c.kind for c in components(made)] == ["toy/sgd", "toy/adam", "toy/net", "toy/constant"]
    assert [c.kind for c in components([1, "x", {"a": (made.optimizer, None)}])] == ["toy/sgd"]


def test_a_dump_reads_back_as_itself() -> None:
    made = read(more=["toy/adam"], by_name={"a": {"kind": "toy/net", "width": 7}}, pair=[1, 2])
    assert read(**made.model_dump(mode="json")) == made


def test_a_validated_component_is_kept() -> None:
    component = read().optimizer
    assert Options(optimizer=component).optimizer is component


@pytest.mark.parametrize(
    "value", [{"pair": "12"}, {"pair": [1.0]}, {"pair": ["1"]}, {"pair": [True]}, {"unknown": 1}]
)
def test_values_are_never_coerced(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**value)


def test_options_are_frozen() -> None:
    made = read()
    with pytest.raises(ValidationError, match="frozen"):
        made.pair = (1,)  # type: ignore[misc]


def test_create_calls_the_factory_with_config_and_dependencies() -> None:
    entry = registry_in_use().get("tasks", "toy/line")
    task = Component(entry, validate_options(entry.load_config(), {"cells": 5})).create(name="a")
    assert (task.name, task.describe(Path()).cells) == ("a", 5)


def test_former_keys_of_base_classes_count_too() -> None:
    class Old(StageConfig):
        former_keys = {"size": "renamed to 'width' in 0.2", "a": "removed in 0.1"}

    class New(Old):
        former_keys = {"a": "renamed to 'b' in 0.3"}

    assert New.explain_former_key("size") == "renamed to 'width' in 0.2"
    assert New.explain_former_key("a") == "renamed to 'b' in 0.3", "the newest class decides"
    assert New.explain_former_key("width") is None


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError("by zero"), KeyError("x"), RecursionError(), TypeError("a\nb")]
)
def test_a_bug_in_a_validator_is_one_line(bug: Exception) -> None:
    class Buggy(StageConfig):
        width: int = 1

        @field_validator("width")
        @classmethod
        def _check(cls, width: int) -> int:
            raise bug

    with pytest.raises(UPSError, match=rf"a validator of .*Buggy raised {type(bug).__name__}") as raised:
        validate_options(Buggy, {"width": 2})
    assert "\n" not in str(raised.value)
