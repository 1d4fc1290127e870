"""A YAML document as plain data with the place of every value in its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ups_core.errors import Issue, UPSError
from ups_core.redaction import redacted, redacted_data

Key = str | int
KeyPath = tuple[Key, ...]


@dataclass(frozen=True)
class Position:
    """A place in a file, counted from one."""

    file: str
    line: int
    column: int


@dataclass
class Document:
    """Plain data with the position of every key and value.

    Attributes:
        data: mappings, lists and scalars.
        positions: path -> position of the key (in mappings) or of the item (in lists).
        interpolated: path -> original text of values that `${env:NAME}` filled in, so that records can
            show the reference instead of the value.
        environment: name -> value of every variable that `${env:NAME}` has named.
        short_forms: path of a mapping -> text of a base that it has replaced: a component's bare name.
    """

    file: str
    data: Any
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    interpolated: dict[KeyPath, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    short_forms: dict[KeyPath, str] = field(default_factory=dict)

    def position(self, path: KeyPath) -> Position:
        """The place of `path`, or of its nearest parent that has one."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(self.file, 1, 1))

    def has(self, path: KeyPath) -> bool:
        """Whether the document has a value at `path`."""
        data = self.data
        for key in path:
            try:
                data = data[key]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def issue(self, path: KeyPath, message: str) -> Issue:
        """A mistake at `path`; the message shows no value of the environment."""
        at = self.position(path)
        return Issue(at.file, at.line, at.column, dotted(path), self.redacted(message))

    def redacted(self, text: str) -> str:
        """The text with references in place of values of the environment."""
        return redacted(text, self.environment)

    @contextmanager
    def redacting(self) -> Iterator[None]:
        """Within, errors for users show no value of the environment."""
        try:
            yield
        except UPSError as error:
            error.args = tuple(redacted_data(error.args, self.environment))
            raise


def dotted(path: KeyPath) -> str:
    """`("pipeline", 0, "lr")` as `pipeline[0].lr`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text
