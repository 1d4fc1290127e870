"""Guesses the boundary of all axes of the fields in a file of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_data.guesses.axes import Axes
from ups_data.guesses.facts import Facts
from ups_data.guesses.sides import Guessed, guess_sides
from ups_data.stores.array_options import SPACE, ArrayOptions
from ups_data.stores.arrays import Arrays

SAMPLE = 16
"""Trajectories that the boundary is guessed from."""
SAMPLE_BYTES = 256 * 1024**2
"""Bytes of fields up to which they are read for that."""


def guess_boundary(
    facts: Facts, candidates: list[Axes], channels: Sequence[str], static: Sequence[str]
) -> tuple[Any, str]:
    """The boundary of every axis; if ways to name the axes disagree, the reason has them all."""
    if not candidates:
        return (None, "unknown without axes; fill in periodic, dirichlet, neumann, open or wall")
    sides = {axes: _sides(facts, axes, channels, static) for axes in candidates[:3]}
    if any(found is None for found in sides.values()):
        why = "too large to look at, or some values are NaN or infinite"
        return (None, f"{why}; fill in periodic, dirichlet, neumann, open or wall")
    values = {
        axes: joined({axis: word for axis, (word, _) in (found or {}).items()})
        for axes, found in sides.items()
    }
    if all(value == values[candidates[0]] for value in values.values()):
        first = sides[candidates[0]] or {}
        reasons = {why: axis for axis, (_, why) in first.items()}
        if len(reasons) == 1:
            return (values[candidates[0]], next(iter(reasons)))
        return (values[candidates[0]], "; ".join(f"{axis}: {why}" for why, axis in reasons.items()))
    options = " or ".join(f"{_text(value)} with axes [{', '.join(axes)}]" for axes, value in values.items())
    return (None, f"depends on the axes; fill in {options}")


def _sides(
    facts: Facts, axes: Axes, channels: Sequence[str], static: Sequence[str]
) -> dict[str, Guessed] | None:
    """Axis -> its boundary, from some trajectories; None if values are too many or not finite."""
    frames = sample(facts, axes, channels, static)
    if frames is None or not np.isfinite(frames).all():
        return None
    space = [axis for axis in SPACE if axis in axes]
    return {axis: guess_sides(frames, place) for place, axis in enumerate(space)}


def sample(
    facts: Facts, axes: Axes, channels: Sequence[str], static: Sequence[str], rows: int = SAMPLE
) -> NDArray[Any] | None:
    """Frames `(n, T, C, *S)` of some trajectories; None if they have too many values."""
    names = _entries(facts, axes, channels)
    # Times and places are not read here, so the options need none of them.
    options = ArrayOptions.model_validate(
        {"axes": axes, "channels": names, "static": list(static) or ["none"], "complex": "real"}
    )
    length = dict(zip(axes, facts.shape, strict=True))
    count = min(rows, length.get("trajectory", 1))
    size = np.prod(facts.shape, dtype=np.float64) / length.get("trajectory", 1) * count * len(channels) * 8
    if size > SAMPLE_BYTES:
        return None
    return Arrays(options).open(facts.path).frames(slice(0, count), slice(0, length.get("time", 1)))


def _entries(facts: Facts, axes: Axes, channels: Sequence[str]) -> dict[str, str]:
    """Channel -> array, with a channel for every entry of a channel axis."""
    if "channel" not in axes:
        return {f"c{number}": array for number, array in enumerate(channels)}
    entries = facts.shape[list(axes).index("channel")]
    return {f"c{number}_{entry}": array for number, array in enumerate(channels) for entry in range(entries)}


def joined(words: dict[str, Any]) -> Any:
    """One word if all axes have it."""
    values = list(words.values())
    return values[0] if isinstance(values[0], str) and all(v == values[0] for v in values) else words


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = [
        f"{axis}: {word if isinstance(word, str) else f'[{word[0]}, {word[1]}]'}"
        for axis, word in value.items()
    ]
    return "{" + ", ".join(parts) + "}"
