"""Options as documentation: types in the words of a spec, defaults, groups, order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, WithJsonSchema

from ups_core import Component, Config, Registered, StageConfig, default_component
from ups_core.option_docs import Option, document_options, summary_of
from ups_core.option_types import type_text

Positive = Annotated[int, Field(ge=1)]


class Group(Config):
    keep: Positive = 2
    """How many."""
    deep: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """A share."""


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "integer"),
        (float, "number"),
        (str, "text"),
        (bool, "true | false"),
        (int | None, "integer | null"),
        (Positive, "integer >= 1"),
        (Positive | None, "integer >= 1 | null"),
        (PositiveFloat, "number > 0"),
        (NonNegativeFloat | None, "number >= 0 | null"),
        (Annotated[float, Field(ge=0.0, le=1.0)], "number from 0 to 1"),
        (Annotated[float, Field(gt=0.0, lt=1.0)], "number > 0 and < 1"),
        (Annotated[float, Field(ge=0.0, lt=1.0)], "number >= 0 and < 1"),
        (Annotated[int, Field(le=3)], "integer <= 3"),
        (Annotated[float, Field(lt=1e-3)], "number < 0.001"),
        (Literal["a", "b"], "a | b"),
        (Literal["auto", 32], "auto | 32"),
        (list[int], "list of integer"),
        (list[Positive], "list of integer >= 1"),
        (tuple[int, ...], "list of integer"),
        (tuple[float, float], "[number, number]"),
        (dict[str, PositiveFloat], "mapping of text to number > 0"),
        (Mapping[str, list[str]], "mapping of text to list of text"),
        (Annotated[Component, Registered("losses")], "loss"),
        (list[Annotated[Component, Registered("strategies")]], "list of strategy"),
        (Annotated[Component, Registered("models")] | None, "model | null"),
        (Group, "options"),
        (Group | None, "options | null"),
        (list[Group], "list of options"),
        (Any, "value"),
    ],
)
def test_types_are_written_as_a_spec_writes_values(annotation: Any, expected: str) -> None:
    assert type_text(annotation) == expected


def test_a_class_may_say_itself_what_it_accepts() -> None:
    schema = {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "object", "additionalProperties": {"type": "number"}},
        ]
    }
    annotation = Annotated[dict[int, int], BeforeValidator(dict), WithJsonSchema(schema)]
    assert type_text(annotation) == "integer >= 1 | mapping to number"
    assert type_text(dict[int, int], [WithJsonSchema({"type": "boolean"})]) == "true | false"


class Base(Config):
    """What every one has. And more."""

    id: str | None = None
    """Its name."""
    size: int = 1
    """Its size."""


class Middle(Base):
    """What some have."""

    size: int = 2
    """A better size."""
    loss: Annotated[Component, Registered("losses")] = default_component("mse")
    """What is minimised."""


class Leaf(Middle):
    """What one has."""

    group: Group = Group()
    """A group."""
    maybe: Group | None = None
    """A group or none."""
    several: list[Group] = []
    """Groups."""
    needed: PositiveFloat
    """Nobody
    knows it."""


def test_own_options_come_first_and_the_most_general_last() -> None:
    groups = document_options(Leaf)
    assert [group.title for group in groups] == ["What one has", "What some have", "What every one has"]
    names = [[option.name for option in group.options] for group in groups]
    assert names == [
        [
            "group",
            "group.keep",
            "group.deep",
            "maybe",
            "maybe.keep",
            "maybe.deep",
            "several",
            "several[].keep",
            "several[].deep",
            "needed",
        ],
        ["size", "loss"],
        ["id"],
    ]


def test_an_option_has_type_default_and_meaning() -> None:
    options = {option.name: option for group in document_options(Leaf) for option in group.options}
    assert options["needed"] == Option("needed", "number > 0", None, "Nobody knows it.")
    assert options["group"] == Option("group", "options", "", "A group.")
    assert options["maybe"] == Option("maybe", "options | null", "null", "A group or none.")
    assert options["group.deep"] == Option("group.deep", "number > 0 and <= 1", "0.5", "A share.")
    assert options["size"].meaning == "A better size."
    assert options["loss"] == Option("loss", "loss", "mse", "What is minimised. See 'ups list losses'.")


def test_defaults_are_written_as_in_a_spec() -> None:
    class Defaults(Config):
        a: dict[int, int] = {1: 7, 2: 5}
        b: tuple[str, ...] = ("x", "y z")
        c: str = ""
        d: bool = False
        e: list[Annotated[Component, Registered("losses")]] = Field(
            default=["mse", {"kind": "h1", "weight": 2.0}]
        )
        f: list[str] = Field(default_factory=list)

    (group,) = document_options(Defaults)
    assert [option.default for option in group.options] == [
        "{1: 7, 2: 5}",
        "[x, y z]",
        '""',
        "false",
        "[mse, {kind: h1, weight: 2.0}]",
        "[]",
    ]


def test_a_class_without_options_has_no_groups() -> None:
    class Empty(Config):
        """Nothing."""

    assert document_options(Empty) == []
    assert summary_of(Empty) == "Nothing"


def test_options_of_every_step_come_last() -> None:
    class Stage(StageConfig):
        """Mine."""

        own: int = 1

    groups = document_options(Stage)
    assert [option.name for option in groups[-1].options] == ["id", "needs"]
    assert groups[-1].title == "Options of every pipeline step"
