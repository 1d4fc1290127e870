"""Keeps values of the environment out of everything that is printed or written: they may be secrets.

A spec refers to the environment by `${env:NAME}`. Records restore such references by their place; messages,
scripts and what plugins write have no places, so there the value itself is replaced.
"""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Mapping
from typing import Any

from ups_core.errors import printable

SHORTEST = 6
"""Characters of the shortest value that is replaced: shorter ones are words and numbers of other meanings."""
HEAD = 16
"""Characters by which a longer value is recognised, because messages cut long values off."""


def redacted(text: str, environment: Mapping[str, str]) -> str:
    """The text with `${env:NAME}` in place of the values of these variables.

    Args:
        text: anything that is shown.
        environment: name -> value of the variables that a spec refers to.
    """
    for name, value in sorted(environment.items(), key=lambda item: -len(item[1])):
        if len(value) >= SHORTEST:
            reference = f"${{env:{name}}}"
            for form in _forms(value):
                text = text.replace(form, reference)
            if len(value) > HEAD:
                text = _without_beginnings(text, value, reference)
    return text


def redacted_data(data: Any, environment: Mapping[str, str]) -> Any:
    """Plain data with every text redacted."""
    if isinstance(data, str):
        return redacted(data, environment)
    if isinstance(data, Mapping):
        return {key: redacted_data(value, environment) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [redacted_data(value, environment) for value in data]
    return data


def _forms(value: str) -> list[str]:
    """A value as Python, JSON, a shell, HTML and a single line of text have it; the longest first."""
    quoted = (repr(value)[1:-1], json.dumps(value)[1:-1], shlex.quote(value), html.escape(value))
    forms = {value, *quoted, printable(value), " ".join(value.split())}
    return sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)


def _without_beginnings(text: str, value: str, reference: str) -> str:
    """The text without the value as far as a message shows it."""
    head = value[:HEAD]
    parts = []
    while (at := text.find(head)) >= 0:
        end = at
        while end < len(text) and end - at < len(value) and text[end] == value[end - at]:
            end += 1
        parts += [text[:at], reference]
        text = text[end:]
    return "".join([*parts, text])
