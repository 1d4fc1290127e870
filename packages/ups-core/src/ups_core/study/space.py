"""What a study varies: ranges and choices of spec values, and how they are written on a command line.

A parameter maps a number u in [0, 1] to a value, so every search method draws in the scale (linear or
logarithmic) that the user gave.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ups_core.errors import SpecError, UsageError
from ups_core.scalars import resolve_scalar
from ups_core.spec import PipelineSpec
from ups_core.yamlreader import parse_yaml

Values = Mapping[str, Any]
"""Key of a spec value -> what one trial sets it to."""

EDGE = 0.05
"""Share of a range, in its scale, that counts as its edge."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, spread evenly or (`log`) evenly over their logarithms."""

    key: str
    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def text(self) -> str:
        """As on the command line."""
        flags = (":log" if self.log else "") + (":int" if self.integer else "")
        return f"{value_text(self.low)}:{value_text(self.high)}{flags}"

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that show whether the spec takes such values at all."""
        return self.low, self.high

    def sample(self, u: float) -> float:
        """The value at quantile `u`; every integer of an integer range is drawn with its own share."""
        if not self.integer:
            return self._between(self.low, self.high, u)
        drawn = round(self._between(self.low - 0.5, self.high + 0.5, u))
        return int(min(max(drawn, self.low), self.high))

    def grid(self, points: int | None) -> list[Any]:
        """`points` values from end to end, fewer where an integer range has not so many."""
        if points is None:
            raise UsageError(f"a grid needs to know how many values '{self.key}' takes: add --points K")
        values = [self._between(self.low, self.high, index / (points - 1)) for index in range(points)]
        return list(dict.fromkeys(round(value) for value in values)) if self.integer else values

    def position(self, value: float) -> float:
        """Where `value` lies: 0 at the low end, 1 at the high end, in the range's scale."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def edge(self, value: float) -> str | None:
        """`lower` or `upper` where the value lies within 5 % of that edge."""
        at = self.position(value)
        return "lower" if at <= EDGE else "upper" if at >= 1 - EDGE else None

    def _between(self, low: float, high: float, u: float) -> float:
        """The ends exactly at 0 and 1, and never anything beyond them."""
        if u <= 0 or u >= 1:
            return low if u <= 0 else high
        if self.log:
            value = math.exp(math.log(low) * (1 - u) + math.log(high) * u)
        else:
            value = low * (1 - u) + high * u
        return min(max(value, low), high)


@dataclass(frozen=True)
class Choice:
    """Values without an order."""

    key: str
    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        """As on the command line."""
        return ",".join(map(value_text, self.values))

    @property
    def probes(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def sample(self, u: float) -> Any:
        """Each value for an equal share of u."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def grid(self, points: int | None) -> list[Any]:
        """All values."""
        return list(self.values)


Parameter = Range | Choice
Space = tuple[Parameter, ...]

_RANGE = re.compile(r"[^,\[\]{}'\"]*:[^,\[\]{}'\"]*")
_FLAGS = ("log", "int")


def parse_space(texts: Sequence[str], spec: PipelineSpec) -> Space:
    """The parameters of a study, in the order in which a spec takes them.

    Raises:
        UsageError: one is badly written or given twice.
    """
    parameters: dict[str, Parameter] = {}
    for text in texts:
        parameter = parse_parameter(text, spec)
        if parameter.key in parameters:
            raise UsageError(f"--param {parameter.key} is given twice; leave one out")
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
    """The parameters of a study on record: key -> domain, as :attr:`Range.text` and :attr:`Choice.text` say."""
    return tuple(_domain(key, text) for key, text in texts.items())


def _domain(key: str, domain: str) -> Parameter:
    return _range(key, domain) if _RANGE.fullmatch(domain) else _choice(key, domain)


def resolve_key(name: str, spec: PipelineSpec) -> str:
    """A key of the spec; what is no top-level key means an option of the first training stage.

    Raises:
        UsageError: the spec trains nothing.
    """
    parts = name.split(".")
    if parts[0] in PipelineSpec.model_fields:
        if parts[0] == "pipeline" and len(parts) > 1 and parts[1] in map(str, range(len(spec.pipeline))):
            parts[1] = spec.pipeline[int(parts[1])].id  # one name for one value
        return ".".join(parts)
    stages = [step.id for step in spec.pipeline if step.role == "stage"]
    if not stages:
        raise UsageError("the spec has no training stage, so there is nothing to tune; add 'stage: operator'")
    return f"pipeline.{stages[0]}.{name}"


def assignments(values: Values) -> list[str]:
    """`KEY=VALUE` of every value, as `ups-run --set` takes them."""
    return [f"{key}={value_text(value)}" for key, value in values.items()]


def set_options(texts: Sequence[str]) -> str:
    """`--set …` for every assignment, quoted for a shell."""
    return " ".join(f"--set {shlex.quote(text)}" for text in texts)


def value_text(value: Any) -> str:
    """YAML of one value on one line; reading it again gives the value, bit for bit."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) and resolve_scalar(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _order(key: str) -> tuple[int, bool, str]:
    """Parents before children and `kind` before its siblings: another kind drops the options beside it."""
    parts = key.split(".")
    return len(parts), parts[-1] != "kind", key


def _range(key: str, domain: str) -> Range:
    low_text, high_text, *flags = (part.strip() for part in domain.split(":"))
    for flag in flags:
        if flag not in _FLAGS or flags.count(flag) > 1:
            raise ValueError(f"'{flag}' cannot stand there; a range is LOW:HIGH, then :log, :int or both")
    log, integer = ("log" in flags), ("int" in flags)
    low, high = _number(low_text, integer), _number(high_text, integer)
    if low >= high:
        raise ValueError(f"the low end {low_text} is not below the high end {high_text}")
    if log and low <= 0:
        raise ValueError(f"the low end {low_text} has no logarithm; start above 0 or leave :log out")
    return Range(key, low, high, log, integer)


def _number(text: str, integer: bool) -> float:
    value = resolve_scalar(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"'{text}' is no number; a range is LOW:HIGH, choices are a,b,c")
    if not integer:
        return float(value)
    if not isinstance(value, int):
        raise ValueError(f"'{text}' is no integer, and the range is ':int'")
    return value


def _choice(key: str, domain: str) -> Choice:
    if not domain:
        raise ValueError("there is nothing to choose from; write a,b,c or LOW:HIGH")
    try:
        values = parse_yaml(f"[{domain}]", "choices").data
    except SpecError as error:
        raise ValueError(f"the choices are {error.issues[0].message}") from None
    texts = [value_text(value) for value in values]
    if twice := [text for text in dict.fromkeys(texts) if texts.count(text) > 1]:
        raise ValueError(f"{', '.join(twice)} is given twice")
    if len(values) < 2:
        raise ValueError(f"one value is nothing to search; use --set {key}={domain}")
    return Choice(key, tuple(values))
