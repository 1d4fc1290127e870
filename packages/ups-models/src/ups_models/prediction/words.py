"""What users write on the command line: axes as letters, NAME=VALUE, numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ups_core import UsageError
from ups_data.stores.array_options import AXES, axis_names


def axis_names_of(text: str | None) -> list[str] | None:
    """Names of axes from `--axes`."""
    if text is None:
        return None
    names = axis_names(text)
    assert isinstance(names, list)
    bad = next((name for name in names if name not in AXES or names.count(name) > 1), None)
    if bad is not None or not names:
        raise UsageError(
            f"--axes {text} names '{bad or ''}'; use each of the letters n t c x y z once, as in ntcx"
        )
    return names


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """NAME -> VALUE of a repeatable option."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} {text} is not NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} gives '{name}' twice")
        found[name] = value
    return found


def number(name: str, text: str) -> float:
    """The value of `--param`."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--param {name}={text} is not a number") from None
