"""YAML read safely, by the 1.2 rules, with every value's place remembered.

PyYAML resolves scalars by YAML 1.1 (`1e-3` is a string, `no` is false, a repeated key silently wins). Specs
follow the 1.2 core schema instead. Size, depth and aliases are limited while a file is parsed, so a hostile
one costs a second or two and little memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from ups_core.errors import Issue, SpecError, truncated

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_EVENTS = 100_000
MAX_ALIASES = 100
MAX_KEY = 100
MAX_NUMBER = 100

Key = str | int
KeyPath = tuple[Key, ...]

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ADVICE = {
    "found character '\\t'": "indent with spaces, not tabs",
    "cannot start any token": "quote the text",
    "unknown escape character": "in double quotes a backslash is \\\\; single quotes leave it alone",
    "but got '{'": "quote text that holds braces",
    "mapping values are not allowed": "quote text that holds ': ', or mend the indentation",
    "expected <block end>": "mend the indentation",
    "could not find expected ':'": "an entry is 'key: value', with a space after the colon",
    "found another document": "keep one, and no '---' behind it",
    "end of stream": "close the quote",
}
"""What PyYAML finds wrong -> the way out."""
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
    if len(text) > MAX_NUMBER:
        return text  # Python reads no integer of thousands of digits, and no option wants one
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
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _error(name, f"a spec may have {MAX_BYTES} bytes at most, and this file has more")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        message = f"not UTF-8 text (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        raise _error(name, message, before) from None
    except OSError as error:
        raise _error(name, f"cannot read it: {error.strerror or error}") from None
    return parse_yaml(text, name, environment)


def parse_yaml(text: str, name: str, environment: Mapping[str, str] | None = None) -> Document:
    """Parse YAML text; `name` stands for the file in messages. Raises as :func:`read_yaml`."""
    try:
        loader = _Loader(text, name)
    except ReaderError as error:
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise _error(name, message, text[: error.position]) from None
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(name, error) from None
    except (ValueError, OverflowError):  # PyYAML checks neither \U escapes nor the digits of %YAML
        mark = loader.get_mark()
        problem = "not valid YAML: a character's code or a version is out of range"
        raise SpecError([Issue(name, mark.line + 1, mark.column + 1, "", problem)]) from None
    document = Document(name, None)
    issues: list[Issue] = []
    if node is not None:
        builder = _Builder(document, issues, os.environ if environment is None else environment)
        document.data = builder.build(node, ())
    if issues:
        raise SpecError(issues)
    return document


def _error(name: str, message: str, before: str = "") -> SpecError:
    """A mistake after the text `before`."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return SpecError([Issue(name, line, column, "", message)])


def _syntax_error(name: str, error: yaml.MarkedYAMLError) -> SpecError:
    problem, at = " ".join((error.problem or "").split()).removeprefix("but "), error.problem_mark
    assert at is not None  # reading text, PyYAML marks every problem
    begun = error.context_mark
    advice = next((f"; {advice}" for what, advice in _ADVICE.items() if what in problem), "")
    if begun is not None and begun.line < at.line:
        if "could not find expected ':'" in problem:
            at = begun  # the entry that lacks it, not the line below
        elif error.context and error.context.startswith("while"):
            problem += f" {error.context} from line {begun.line + 1}"
    for token, words in (("<stream end>", "the end of the file"), ("<scalar>", "a value"), ("?", "a key")):
        problem = problem.replace(f"'{token}'", words)
    return SpecError([Issue(name, at.line + 1, at.column + 1, "", f"not valid YAML: {problem}{advice}")])


class _Loader(yaml.SafeLoader):
    """Counts what it reads, and tags nothing: a node's tag is one that stands in the file."""

    def __init__(self, text: str, name: str):
        super().__init__(text)
        self.file = name
        self.events = self.depth = self.aliases = 0

    def resolve(self, kind: object, value: object, implicit: object) -> None:
        """No tag for a node without one."""

    def get_event(self) -> Any:
        """The next event. Raises :class:`SpecError` when there are too many, or they are too deep."""
        event: Any = super().get_event()  # type: ignore[no-untyped-call]
        self.events += 1
        self.depth += isinstance(event, yaml.CollectionStartEvent)
        self.depth -= isinstance(event, yaml.CollectionEndEvent)
        self.aliases += isinstance(event, yaml.AliasEvent)
        for count, limit, what in (
            (self.depth, MAX_DEPTH, "levels"),
            (self.events, MAX_EVENTS, "values"),
            (self.aliases, MAX_ALIASES, "aliases"),
        ):
            if count > limit:
                at = event.start_mark
                message = f"a spec may have {limit} {what} at most"
                raise SpecError([Issue(self.file, at.line + 1, at.column + 1, "", message)])
        return event


class _Builder:
    """Builds plain data from a YAML node tree, noting positions and every mistake."""

    def __init__(self, document: Document, issues: list[Issue], environment: Mapping[str, str]):
        self.document = document
        self.issues = issues
        self.environment = environment
        self.built = self.characters = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.built += 1
        for count, limit, what in (
            (self.built, MAX_EVENTS, "values"),
            (self.characters, MAX_BYTES, "characters"),
            (len(path), MAX_DEPTH, "levels"),
        ):
            if count > limit:
                at, message = self._position(node), f"aliases expand to more than {limit} {what}"
                raise SpecError([Issue(at.file, at.line, at.column, "", message)])
        self.document.positions.setdefault(path, self._position(node))
        self._check_tag(node, path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            where = self._position(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or not 0 < len(key) <= MAX_KEY:
                self._issue(where, path, f"a key must be plain text of 1 to {MAX_KEY} characters")
                continue
            self._check_tag(key_node, path)
            self._check_text(key, where, path)
            if key == "<<" and key_node.style is None:
                self._issue(where, path, "YAML 1.2 has no merge keys; write the keys out or use 'extends'")
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
        text = _ENV.sub(lambda match: self._environment(match[1], node, path), node.value)
        if text != node.value:
            self.document.interpolated[path] = node.value
        self.characters += len(text)
        self._check_text(text, self._position(node), path)
        # A value that is one reference and nothing else takes the variable's type, quoted or not: inside
        # `{...}` YAML wants the quotes.
        return resolve_scalar(text) if plain or _ENV.fullmatch(node.value) else text

    def _environment(self, name: str, node: yaml.Node, path: KeyPath) -> str:
        if name not in self.environment:
            self._issue(self._position(node), path, f"the environment variable {name} is not set")
            return ""
        return self.environment[name]

    def _check_tag(self, node: yaml.Node, path: KeyPath) -> None:
        if node.tag is not None:
            tag = truncated(node.tag.replace("tag:yaml.org,2002:", "!!"))
            self._issue(self._position(node), path, f"the tag '{tag}' is not allowed; write plain values")

    def _check_text(self, text: str, at: Position, path: KeyPath) -> None:
        found = _SURROGATE.search(text)
        if found:
            self._issue(at, path, f"U+{ord(found[0]):04X} is half a character; write the whole one")

    def _position(self, node: yaml.Node) -> Position:
        return Position(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _issue(self, at: Position, path: KeyPath, message: str) -> None:
        self.issues.append(Issue(at.file, at.line, at.column, dotted(path), message))
