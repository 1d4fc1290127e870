"""Plain YAML scalars by the YAML 1.2 core schema, in which `1e-3` is a number and `no` is text."""

from __future__ import annotations

import re

MAX_NUMBER = 100
"""Characters of the longest number."""

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar by the YAML 1.2 core schema."""
    if len(text) > MAX_NUMBER:
        return text  # Python refuses integers of thousands of digits, and no option needs one
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
