"""YAML read safely, by the 1.2 rules, with the place of every value.

PyYAML resolves scalars by YAML 1.1 (`1e-3` is a string, `no` is false, a repeated key silently wins). Specs
follow the 1.2 core schema instead. Size, depth and aliases are limited while a file is parsed, so a hostile
one costs a second or two and little memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from yaml.reader import ReaderError

from ups_core.document import Document
from ups_core.errors import Issue, SpecError
from ups_core.yaml_nodes import MAX_BYTES, Builder, Loader


class Unresolved(dict[str, str]):
    """An environment in which every variable stands for its own reference."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        return f"${{env:{name}}}"


_ADVICE = {
    "found character '\\t'": "indent with spaces, not tabs",
    "cannot start any token": "quote the text",
    "unknown escape character": "write a backslash in double quotes as \\\\, or use single quotes",
    "but got '{'": "quote text that contains braces",
    "mapping values are not allowed": "quote text that contains ': ', or fix the indentation",
    "expected <block end>": "fix the indentation",
    "could not find expected ':'": "write an entry as 'key: value', with a space after the colon",
    "found another document": "keep one document and remove the '---' after it",
    "end of stream": "close the quote",
}
"""Part of a message of PyYAML -> the way out."""


def read_yaml(path: Path, environment: Mapping[str, str] | None = None) -> Document:
    """Read one YAML file.

    Raises:
        SpecError: the file cannot be read, is too large or too deep, is not YAML, repeats a key, has a tag,
            or names an environment variable that is not set.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _error(
                name, f"a spec may have at most {MAX_BYTES} bytes, this file has more; check the path"
            )
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        message = f"not UTF-8 text (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        raise _error(name, message, before) from None
    except OSError as error:
        raise _error(name, f"cannot read the file: {error.strerror or error}") from None
    return parse_yaml(text, name, environment)


def parse_yaml(text: str, name: str, environment: Mapping[str, str] | None = None) -> Document:
    """Parse YAML text; `name` is the file's name in messages. Raises as :func:`read_yaml`."""
    try:
        loader = Loader(text, name)
    except ReaderError as error:
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML; remove it"
        raise _error(name, message, text[: error.position]) from None
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(name, error) from None
    except (
        ValueError,
        OverflowError,
    ):  # PyYAML checks neither the range of \U escapes nor the digits of %YAML
        mark = loader.get_mark()
        problem = "not valid YAML: a character code or a version is out of range"
        raise SpecError([Issue(name, mark.line + 1, mark.column + 1, "", problem)]) from None
    document = Document(name, None)
    issues: list[Issue] = []
    if node is not None:
        builder = Builder(document, issues, os.environ if environment is None else environment)
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
    assert at is not None  # PyYAML marks every problem when it reads text
    begun = error.context_mark
    advice = next((f"; {advice}" for what, advice in _ADVICE.items() if what in problem), "")
    if begun is not None and begun.line < at.line:
        if "could not find expected ':'" in problem:
            at = begun  # the entry that lacks it; PyYAML notices on the next line
        elif error.context and error.context.startswith("while"):
            problem += f" {error.context} from line {begun.line + 1}"
    for token, words in (("<stream end>", "the end of the file"), ("<scalar>", "a value"), ("?", "a key")):
        problem = problem.replace(f"'{token}'", words)
    return SpecError([Issue(name, at.line + 1, at.column + 1, "", f"not valid YAML: {problem}{advice}")])
