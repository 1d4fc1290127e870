"""YAML read safely, by the 1.2 rules, with every value's place remembered.

PyYAML resolves scalars by YAML 1.1 (`1e-3` is a string, `no` is false, a repeated key silently wins). Specs
follow the 1.2 core schema instead; size, depth and aliases are limited before anything is built, so a
hostile file costs milliseconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ups_core.errors import Issue, SpecError

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_EVENTS = 100_000

Key = str | int
KeyPath = tuple[Key, ...]

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_SCALAR_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


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
    """

    file: str
    data: Any
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    interpolated: dict[KeyPath, str] = field(default_factory=dict)

    def position(self, path: KeyPath) -> Position:
        """The place of `path`, or of its nearest parent that has one."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(self.file, 1, 1))

    def issue(self, path: KeyPath, message: str) -> Issue:
        """A mistake at `path`."""
        at = self.position(path)
        return Issue(at.file, at.line, at.column, dotted(path), message)


def dotted(path: KeyPath) -> str:
    """`("pipeline", 0, "lr")` as `pipeline[0].lr`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """A plain scalar's value by the YAML 1.2 core schema."""
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def read_yaml(path: Path, environment: Mapping[str, str] | None = None) -> Document:
    """Read one YAML file.

    Raises:
        SpecError: the file cannot be read, is too large or too deep, is no YAML, repeats a key, has a tag,
            or names an environment variable that is not set.
    """
    name = str(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _error(name, f"the file has {size} bytes; a spec may have {MAX_BYTES} at most")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(name, f"not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise _error(name, f"cannot read it: {error.strerror or error}") from None
    return parse_yaml(text, name, environment)


def parse_yaml(text: str, name: str, environment: Mapping[str, str] | None = None) -> Document:
    """Parse YAML text; `name` stands for the file in messages. Raises as :func:`read_yaml`."""
    try:
        _check_limits(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join((error.problem or str(error)).split())
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise SpecError([Issue(name, *place, "", f"not valid YAML: {problem}")]) from None
    except yaml.YAMLError as error:
        raise _error(name, f"not valid YAML: {' '.join(str(error).split())}") from None
    document = Document(name, None)
    issues: list[Issue] = []
    if node is not None:
        builder = _Builder(document, issues, os.environ if environment is None else environment)
        document.data = builder.build(node, ())
    if issues:
        raise SpecError(issues)
    return document


def _error(name: str, message: str) -> SpecError:
    return SpecError([Issue(name, 1, 1, "", message)])


def _check_limits(text: str, name: str) -> None:
    """Refuse depth, size and alias expansion while reading events, before any tree exists."""
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        mark = event.start_mark
        assert mark is not None  # parsing text, PyYAML marks every event
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        for value, limit, what in (
            (depth, MAX_DEPTH, "levels deep"), (count, MAX_EVENTS, "values"), (aliases, 100, "aliases"),
        ):  # fmt: skip
            if value > limit:
                raise SpecError(
                    [
                        Issue(
                            name,
                            mark.line + 1,
                            mark.column + 1,
                            "",
                            f"a spec may have {limit} {what} at most",
                        )
                    ]
                )


class _Builder:
    """Builds plain data from a YAML node tree, noting positions and every mistake."""

    def __init__(self, document: Document, issues: list[Issue], environment: Mapping[str, str]):
        self.document = document
        self.issues = issues
        self.environment = environment
        self.built = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.built += 1
        if self.built > MAX_EVENTS:
            raise _error(self.document.file, f"aliases expand to more than {MAX_EVENTS} values")
        self.document.positions.setdefault(path, self._position(node))
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, path, "map")
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, path, "seq")
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            where = self._position(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or not key:
                self._issue(where, path, "a key must be plain text")
                continue
            if key in result:
                first = self.document.positions[(*path, key)]
                self._issue(where, (*path, key), f"the key '{key}' stands at line {first.line} already")
                continue
            self.document.positions[(*path, key)] = where
            result[key] = self.build(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        plain = node.style is None
        if node.tag not in _SCALAR_TAGS:
            self._check_tag(node, path, "str")
        text = _ENV.sub(lambda match: self._environment(match[1], node, path), node.value)
        if text != node.value:
            self.document.interpolated[path] = node.value
        # A value that is one reference and nothing else takes the variable's type, quoted or not: inside
        # `{...}` YAML wants the quotes.
        return resolve_scalar(text) if plain or _ENV.fullmatch(node.value) else text

    def _environment(self, name: str, node: yaml.Node, path: KeyPath) -> str:
        if name not in self.environment:
            self._issue(self._position(node), path, f"the environment variable {name} is not set")
            return ""
        return self.environment[name]

    def _check_tag(self, node: yaml.Node, path: KeyPath, expected: str) -> None:
        if node.tag != f"tag:yaml.org,2002:{expected}":
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._issue(self._position(node), path, f"the tag '{tag}' is not allowed; write plain values")

    def _position(self, node: yaml.Node) -> Position:
        return Position(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _issue(self, at: Position, path: KeyPath, message: str) -> None:
        self.issues.append(Issue(at.file, at.line, at.column, dotted(path), message))
