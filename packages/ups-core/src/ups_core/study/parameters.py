"""How parameters of a study are written on a command line and on record: `KEY=LOW:HIGH:log`, `KEY=a,b,c`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from ups_core.errors import SpecError, UsageError
from ups_core.scalars import resolve_scalar
from ups_core.spec import PipelineSpec
from ups_core.study.space import Choice, Parameter, Range, Space, value_text
from ups_core.yamlreader import Unresolved, parse_yaml

_RANGE = re.compile(r"[^,\[\]{}'\"]*:[^,\[\]{}'\"]*")
_FLAGS = ("log", "int")
NO_STAGE = "the spec has no training stage, so there is nothing to tune; add one, such as 'stage: operator'"


def parse_space(texts: Sequence[str], spec: PipelineSpec) -> Space:
    """The parameters of a study, in the order in which a spec takes them.

    Raises:
        UsageError: one is malformed or given twice.
    """
    parameters: dict[str, Parameter] = {}
    for text in texts:
        parameter = parse_parameter(text, spec)
        if parameter.key in parameters:
            raise UsageError(f"--param {parameter.key} is given twice; remove one")
        parameters[parameter.key] = parameter
    return tuple(sorted(parameters.values(), key=lambda parameter: _order(parameter.key)))


def parse_parameter(text: str, spec: PipelineSpec) -> Parameter:
    """Read `KEY=LOW:HIGH[:log][:int]` or `KEY=a,b,c`. Raises :class:`UsageError`."""
    name, separator, domain = text.partition("=")
    name, domain = name.strip(), domain.strip()
    if not separator or not name:
        raise UsageError(f"--param {text}: write it as KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=a,b,c")
    key = resolve_key(name, spec)
    try:
        return _domain(key, domain)
    except ValueError as error:
        raise UsageError(f"--param {text}: {error}") from None


def read_space(texts: Mapping[str, str]) -> Space:
    """The parameters of a study on record, key -> its :attr:`Range.text` or :attr:`Choice.text`."""
    return tuple(_domain(key, text) for key, text in texts.items())


def _domain(key: str, domain: str) -> Parameter:
    return _range(key, domain) if _RANGE.fullmatch(domain) else _choice(key, domain)


def resolve_key(name: str, spec: PipelineSpec) -> str:
    """A key of the spec; one that is not a top-level key means an option of the first training stage.

    Raises:
        UsageError: the spec trains nothing.
    """
    parts = name.split(".")
    if parts[0] in PipelineSpec.model_fields:
        ids = [step.id for step in spec.pipeline]
        if parts[0] == "pipeline" and len(parts) > 1 and parts[1] not in ids:
            parts[1] = dict(zip(map(str, range(len(ids))), ids, strict=True)).get(parts[1], parts[1])
        return ".".join(parts)
    stages = [step.id for step in spec.pipeline if step.role == "stage"]
    if not stages:
        raise UsageError(NO_STAGE)
    return f"pipeline.{stages[0]}.{name}"


def _order(key: str) -> tuple[int, bool, str]:
    """Parents before children and `kind` before its siblings: another kind drops the options beside it."""
    parts = key.split(".")
    return len(parts), parts[-1] != "kind", key


def _range(key: str, domain: str) -> Range:
    low_text, high_text, *flags = (part.strip() for part in domain.split(":"))
    for flag in flags:
        if flag not in _FLAGS or flags.count(flag) > 1:
            raise ValueError(f"unexpected ':{flag}'; write a range as LOW:HIGH, then :log, :int or both")
    log, integer = ("log" in flags), ("int" in flags)
    low, high = _number(low_text, integer), _number(high_text, integer)
    if low >= high:
        raise ValueError(f"the low end {low_text} must be below the high end {high_text}")
    if log and low <= 0:
        raise ValueError(f"the low end {low_text} has no logarithm; start above 0 or remove :log")
    return Range(key, low, high, log, integer)


def _number(text: str, integer: bool) -> float:
    value = resolve_scalar(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"'{text}' is not a number; write a range as LOW:HIGH, choices as a,b,c")
    if not integer:
        return float(value)
    if not isinstance(value, int):
        raise ValueError(f"'{text}' is not an integer; write one or remove :int")
    return value


def _choice(key: str, domain: str) -> Choice:
    if not domain:
        raise ValueError("no values are given; write a,b,c or LOW:HIGH")
    try:
        values = parse_yaml(
            f"[{domain}]", "choices", Unresolved()
        ).data  # commas inside quotes and brackets stay
    except SpecError as error:
        raise ValueError(f"the choices are {error.issues[0].message}") from None
    texts = [value_text(value) for value in values]
    if twice := [text for text in dict.fromkeys(texts) if texts.count(text) > 1]:
        raise ValueError(f"{', '.join(twice)} is given twice")
    if len(values) < 2:
        raise ValueError(f"a single value leaves nothing to search; use --set {key}={domain}")
    return Choice(key, tuple(values))
