"""Guesses which axis of the fields is which, from coordinates, their lengths, and the usual orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from ups_core.errors import printable
from ups_data.guesses.facts import Facts, Line
from ups_data.stores.array_options import SPACE

MAX_CHANNELS = 8
"""Length up to which an axis that no coordinate has may be that of channels."""

Axes = tuple[str, ...]


def candidate_axes(facts: Facts, steady: bool) -> tuple[list[Axes], dict[str, Line], str]:
    """All ways to name the axes that the file allows, the coordinates of axes, and a reason."""
    lines: dict[str, Line] = {}
    for line in sorted(facts.lines, key=lambda line: not line.usable):
        if line.axis is not None and len(line.points) in facts.shape:
            lines.setdefault(line.axis, line)
    if "x" not in lines and (unnamed := _unnamed(facts, lines)) is not None:
        lines["x"] = unnamed
    found: dict[Axes, None] = {}
    for places in permutations(range(len(facts.shape)), len(lines)):
        if all(
            facts.shape[place] == len(line.points) for place, line in zip(places, lines.values(), strict=True)
        ):
            known = dict(zip(places, lines, strict=True))
            found.update(dict.fromkeys(_completed(facts.shape, known, steady)))
    candidates = _by_storage(list(found))
    return candidates, lines, _reason(facts, candidates, lines, steady)


def _unnamed(facts: Facts, lines: dict[str, Line]) -> Line | None:
    """The only evenly spaced coordinate without a usual name, if one axis alone has its length."""
    taken = [len(line.points) for line in lines.values()]
    free = [
        line
        for line in facts.lines
        if line.axis is None and line.even and (facts.shape + tuple(taken)).count(len(line.points)) == 1
    ]
    return free[0] if len(free) == 1 else None


def _completed(shape: tuple[int, ...], known: dict[int, str], steady: bool) -> Iterator[Axes]:
    """Names for all axes, given those that coordinates tell."""
    rest = [place for place in range(len(shape)) if place not in known]
    space = any(axis in SPACE for axis in known.values())
    timed = "time" in known.values()
    for names in _names_of_rest([shape[place] for place in rest], rest[:1] == [0], space, timed, steady):
        axes = known | dict(zip(rest, names, strict=True))
        yield tuple(axes[place] for place in range(len(shape)))


def _names_of_rest(
    lengths: Sequence[int], first: bool, space: bool, timed: bool, steady: bool
) -> Iterator[Axes]:
    """Names for axes without coordinates, of these lengths; `first`: the first axis is one of them."""
    count = len(lengths)
    if space:
        wanted = [["trajectory"], ["trajectory", "channel"], ["trajectory", "time", "channel"]]
        if timed or steady:
            names = [[], *wanted[:2]]
        else:
            names = [["time"], ["trajectory", "time"], wanted[2]]
            count -= 1
        if count < len(names) and count >= 0:
            chosen = names[count]
            if chosen == ["trajectory"] and not first and lengths[0] <= MAX_CHANNELS:
                chosen = ["channel"]
            yield tuple(chosen)
        return
    if not timed and not steady:
        # Neither times nor places: every order with the trajectories first is possible.
        for axes in (("trajectory", "time", *SPACE[: count - 2]), ("time", *SPACE[: count - 1])):
            if len(axes) == count and "x" in axes:
                yield axes
        if count == 2:
            yield "trajectory", "x"  # samples of a steady problem, with a given field among the arrays
        return
    lead: Axes = ("trajectory",) if first and count > 1 else ()
    if count - len(lead) > 1 and lengths[len(lead)] <= MAX_CHANNELS < min(lengths[len(lead) + 1 :]):
        lead = (*lead, "channel")
    if 1 <= count - len(lead) <= len(SPACE):
        yield (*lead, *SPACE[: count - len(lead)])


def _by_storage(found: list[Axes]) -> list[Axes]:
    """Without orders that only exchange axes of space, of which the stored one is x, y, z."""
    first: dict[Axes, Axes] = {}
    for axes in found:
        pattern = tuple("space" if axis in SPACE else axis for axis in axes)
        space = [axis for axis in axes if axis in SPACE]
        if space == sorted(space):
            first[pattern] = axes
        first.setdefault(pattern, axes)
    return list(first.values())


def _reason(facts: Facts, candidates: list[Axes], lines: dict[str, Line], steady: bool) -> str:
    shape = "x".join(map(str, facts.shape))
    known = [f"'{printable(line.array)}' has {len(line.points)} numbers" for line in lines.values()]
    if len(candidates) == 1:
        axes = candidates[0]
        rest = [axis for axis in axes if axis not in lines]
        parts = [f"shape {shape}", *known]
        if rest:
            parts.append(f"{', '.join(rest)} by position{', without times' if steady else ''}")
        return "; ".join(parts)
    if not candidates:
        return f"shape {shape} does not fit the coordinates; name every axis, such as [trajectory, time, x]"
    options = " or ".join(f"[{', '.join(axes)}]" for axes in candidates[:3])
    why = f"shape {shape} has axes of equal length" if lines else f"only the shape {shape} is known"
    return f"{why}; fill in {options}"
