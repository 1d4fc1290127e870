"""What a study varies: ranges and choices of values of a spec.

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

from ups_core.errors import UsageError
from ups_core.scalars import resolve_scalar

Values = Mapping[str, Any]
"""Key of a spec value -> what one trial sets it to."""

EDGE = 0.05
"""Share of a range, in its scale, that counts as its edge."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, uniform in the number or (`log`) in its logarithm."""

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
        """Values that show whether the spec accepts such values."""
        return self.low, self.high

    def sample(self, u: float) -> float:
        """The value at quantile `u`; integers of a linear range are equally likely."""
        if not self.integer:
            return self._between(self.low, self.high, u)
        # Half a step beyond both ends, so that the end values get a full share.
        drawn = round(self._between(self.low - 0.5, self.high + 0.5, u))
        return int(min(max(drawn, self.low), self.high))

    def grid(self, points: int | None) -> list[Any]:
        """`points` values from end to end; fewer where an integer range has fewer."""
        if points is None:
            raise UsageError(f"a grid needs the number of values of '{self.key}'; add --points K")
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
        """Each value for an equal share of `u`."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def grid(self, points: int | None) -> list[Any]:
        """All values."""
        return list(self.values)


Parameter = Range | Choice
Space = tuple[Parameter, ...]


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
