"""The two halves of reading YAML: parsing within limits, and building data that knows its places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ups_core.document import Document, KeyPath, Position, dotted
from ups_core.errors import Issue, SpecError, truncated
from ups_core.scalars import resolve_scalar

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_EVENTS = 100_000
MAX_ALIASES = 100
MAX_KEY = 100

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


class Loader(yaml.SafeLoader):
    """Counts what it reads and resolves no tags: a node has a tag only where the file has one."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.file = name
        self.events = self.depth = self.aliases = 0

    # PyYAML calls this for every node without a tag and would apply the rules of YAML 1.1.
    def resolve(self, kind: object, value: object, implicit: object) -> None:
        """Leave a node without a tag as it is; YAML 1.1 would guess one."""

    def get_event(self) -> Any:
        """The next event. Raises :class:`SpecError` when there are too many, or they are too deep."""
        # Events are counted while PyYAML parses: the composer recurses, so a check of the finished tree
        # would come after a stack overflow.
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
                message = f"a spec may have at most {limit} {what}"
                raise SpecError([Issue(self.file, at.line + 1, at.column + 1, "", message)])
        return event


class Builder:
    """Builds plain data from a YAML node tree, noting positions and every mistake."""

    def __init__(self, document: Document, issues: list[Issue], environment: Mapping[str, str]) -> None:
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
                at, message = (
                    self._position(node),
                    f"aliases expand to more than {limit} {what}; write the values out",
                )
                raise SpecError([Issue(at.file, at.line, at.column, "", message)])
        # A key has its own position already, which is the better place for its value, too.
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
                self._issue(
                    where, (*path, key), f"duplicate key '{key}' (first defined on line {first.line})"
                )
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
        # A value that is one reference and nothing else takes the type of the variable's value, quoted or
        # not, because YAML requires the quotes inside `{...}`.
        return resolve_scalar(text) if plain or _ENV.fullmatch(node.value) else text

    def _environment(self, name: str, node: yaml.Node, path: KeyPath) -> str:
        if name not in self.environment:
            self._issue(
                self._position(node),
                path,
                f"the environment variable {name} is not set; set it or write the value here",
            )
            return ""
        self.document.environment[name] = self.environment[name]
        return self.environment[name]

    def _check_tag(self, node: yaml.Node, path: KeyPath) -> None:
        if node.tag is not None:
            tag = truncated(node.tag.replace("tag:yaml.org,2002:", "!!"))
            self._issue(self._position(node), path, f"the tag '{tag}' is not allowed; remove it")

    def _check_text(self, text: str, at: Position, path: KeyPath) -> None:
        found = _SURROGATE.search(text)
        if found:
            self._issue(
                at, path, f"U+{ord(found[0]):04X} is half of a surrogate pair; write the complete character"
            )

    def _position(self, node: yaml.Node) -> Position:
        return Position(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _issue(self, at: Position, path: KeyPath, message: str) -> None:
        self.issues.append(Issue(at.file, at.line, at.column, dotted(path), message))
