"""The base of every options class: unknown keys are errors, values are never coerced, nothing mutates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every options class."""

    # `strict` refuses `"3"` for an integer; `use_attribute_docstrings` makes docstrings the meaning of
    # options in `ups show` and in the JSON Schema.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    former_keys: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions -> what to say about them, such as `renamed to 'clip' in 0.2`; those of base
    classes count too."""
    explain: ClassVar[str | None] = None
    """`"module:function"` that `ups show KIND NAME --spec SPEC` calls as `function(config, spec, step,
    infos)`, with what every task describes; returns rows of text, headings first."""

    @classmethod
    def explain_former_key(cls, key: str) -> str | None:
        """What has become of a key of an earlier version, None for a key that never was one."""
        declared = (base.former_keys for base in cls.__mro__ if issubclass(base, Config))
        return next((keys[key] for keys in declared if key in keys), None)
