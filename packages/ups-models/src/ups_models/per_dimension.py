"""Options with one value per grid dimension: `kernel: 7`, or `kernel: {1: 7, 2: 5}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from ups_core import ModelConfig

DIMENSIONS = (1, 2)
"""Dimensions that a single number sets; 3-D grids use the value of 2-D ones unless they have their own."""


def _by_dimension(value: Any) -> Any:
    """Expand a single number to all dimensions, and turn the text keys of JSON and YAML into numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return dict.fromkeys(DIMENSIONS, value)
    if isinstance(value, Mapping):
        return {int(key) if str(key).isdecimal() else key: number for key, number in value.items()}
    raise ValueError(f"expected an integer, or one per grid dimension such as {{1: 7, 2: 5}}, not {value!r}")


_VALUE = {"type": "integer", "minimum": 1}
PerDimension = Annotated[
    dict[Annotated[int, Field(ge=1, le=3)], Annotated[int, Field(ge=1)]],
    BeforeValidator(_by_dimension),
    WithJsonSchema({"anyOf": [_VALUE, {"type": "object", "additionalProperties": _VALUE}]}),
]
"""Grid dimension -> value."""


def by_dimension(one: int, two: int) -> Any:
    """The default of a :data:`PerDimension` option: for 1-D grids, and for 2-D and 3-D ones."""
    return Field(default={1: one, 2: two})


def key_at(values: Mapping[int, int], dim: int) -> int:
    """The key of the value for grids of dimension `dim`: `dim`, or the next lower dimension with a value."""
    return max(known for known in values if known <= dim)


def at(values: Mapping[int, int], dim: int) -> int:
    """The value for grids of this dimension."""
    return values[key_at(values, dim)]


class PerDimensionConfig(ModelConfig):
    """Options of a model with :data:`PerDimension` ones; omitted dimensions keep their default."""

    @model_validator(mode="after")
    def _complete(self) -> PerDimensionConfig:
        for name, field in type(self).model_fields.items():
            if isinstance(field.default, dict):
                # Through __dict__, because the frozen model rejects assignment also while it is validated.
                self.__dict__[name] = dict(sorted({**field.default, **getattr(self, name)}.items()))
        return self
