"""Patterns of parameters' names that end in time, whatever a spec contains.

Python's engine backtracks: `(a+)+$` takes longer than anybody waits. The engine of Rust, which pydantic has,
is linear in the name, but knows no look-around; such patterns go to Python's if nothing in them can multiply.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

MAX_REPEATS = 3
"""Repetitions of a pattern with look-around: the time is a power of the name's length with this exponent."""

_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_REPEAT = re.compile(r"(?<!\()[*+?{]")


@cache
def name_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether the pattern is found in a name.

    Raises:
        ValueError: it is not a regular expression, or one that could take forever.
    """
    try:
        engine = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("error: ").removeprefix("SchemaError: ")
        if "look-around" not in reason:
            raise ValueError(f"'{pattern}' is not a regular expression: {reason}") from None
        return _with_look_around(pattern)
    return engine.isinstance_python


def _with_look_around(pattern: str) -> Callable[[str], bool]:
    if _REPEATED_GROUP.search(pattern) or len(_REPEAT.findall(pattern)) > MAX_REPEATS:
        raise ValueError(
            f"'{pattern}' could take forever: with look-around, repeat single characters only, at most "
            f"{MAX_REPEATS} times"
        )
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from None
    return lambda name: search(name) is not None
