"""Guesses from the facts about a file: which axis is which, what is given, how ends behave.

A guess that the file does not support is left open: its value is None, and its reason says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ups_core.errors import printable
from ups_data.guesses.axes import Axes, candidate_axes
from ups_data.guesses.boundary import guess_boundary
from ups_data.guesses.facts import GIVEN, WANTED, Facts, Line
from ups_data.stores.array_options import SPACE
from ups_data.stores.arrays import NEGLIGIBLE


@dataclass(frozen=True)
class Guess:
    """A value and why it is guessed; None is a blank, of which `why` says what the file does not tell."""

    value: Any
    why: str


@dataclass(frozen=True)
class Guesses:
    """All that a spec says about the arrays of a file.

    Attributes:
        channels: arrays to predict.
        static: given arrays.
        axes: axes in their order.
        coordinates: axis -> array.
        dt: time between frames, where no array has the times; None where the spec needs none.
        domain: axis -> its ends, where no array has coordinates; None where the spec needs none.
        boundary: one word, or a word or two for every axis.
        complex: see :class:`ArrayOptions`; None where no array is complex.
        parameters: name -> array with one number for every trajectory.
        trajectories: how many the file has; None if that is not known.
        frames: the same of frames; 1 when steady.
        shape: of the arrays.
    """

    channels: Guess
    static: Guess
    axes: Guess
    coordinates: dict[str, Guess] = field(default_factory=dict)
    dt: Guess | None = None
    domain: Guess | None = None
    boundary: Guess = Guess(None, "")
    complex: Guess | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    trajectories: int | None = None
    frames: int | None = None
    shape: tuple[int, ...] = ()

    @property
    def entries(self) -> int:
        """Length of the axis of channels."""
        axes: Axes = self.axes.value or ()
        return dict(zip(axes, self.shape, strict=False)).get("channel", 1)

    @property
    def steady(self) -> bool:
        """Whether given fields lead to a solution without time."""
        return self.axes.value is not None and "time" not in self.axes.value


def guess(facts: Facts) -> Guesses:
    """Guess what the arrays of a file are.

    Raises:
        UPSError: the file cannot be read.
    """
    channels, static = _roles(facts)
    steady = any(name in facts.fields for name in static.value)
    candidates, lines, why = candidate_axes(facts, steady)
    axes = Guess(candidates[0] if len(candidates) == 1 else None, why)
    named = candidates[0] if candidates else ()
    lengths = [dict(zip(axes, facts.shape, strict=True)) for axes in candidates]
    trajectories = _agreed([length.get("trajectory", 1) for length in lengths])
    return Guesses(
        channels=channels,
        static=static,
        axes=axes,
        coordinates={
            axis: Guess(line.array, f"{len(line.points)} increasing numbers")
            for axis, line in lines.items()
            if line.usable
        },
        dt=_dt(named, lines),
        domain=_domain(named, lines),
        boundary=Guess(*guess_boundary(facts, candidates, channels.value, static.value)),
        complex=_complex(facts),
        parameters=_parameters(facts, trajectories),
        trajectories=trajectories,
        frames=_agreed([length.get("time", 1) for length in lengths]),
        shape=facts.shape,
    )


def _agreed(values: Sequence[int]) -> int | None:
    """The only value of all ways to name the axes."""
    return values[0] if len(set(values)) == 1 else None


def _roles(facts: Facts) -> tuple[Guess, Guess]:
    """Fields to predict, and given ones."""
    names = list(facts.fields)
    if len(names) == 1:
        return Guess(names, "the only field"), _given_of_other_shape(facts)
    if facts.timed:
        return Guess(names, "fields of one shape"), _given_of_other_shape(facts)
    marked = {name: _short(name) for name in names}
    given = [name for name in names if name in facts.two_valued]
    reason = "it has two values only"
    if not given and any(short in WANTED for short in marked.values()):
        given = [name for name, short in marked.items() if short in GIVEN and short not in WANTED]
        reason = "its name is usual for a given field"
    if not given or len(given) == len(names):
        return Guess(names, "fields of one shape"), Guess([], "")
    wanted = [name for name in names if name not in given]
    return Guess(wanted, "to predict from the given field; the file has no times"), Guess(given, reason)


def _given_of_other_shape(facts: Facts) -> Guess:
    """Fields with the axes of the others without time: media and masks."""
    found = [
        name
        for name, shape in facts.others.items()
        if (name in facts.two_valued or _short(name) in GIVEN)
        and any(_without(facts.shape, place) == shape for place in range(len(facts.shape)))
    ]
    return Guess(found, "it has the axes of the others without time, and a name or values of a given field")


def _dt(axes: Axes, lines: dict[str, Line]) -> Guess | None:
    if "time" in lines:
        line = lines["time"]
        if line.usable:
            return None
        step = float(line.points[-1] - line.points[0]) / (len(line.points) - 1)
        return Guess(step, f"the spacing of '{printable(line.array)}', which is a mesh")
    if "time" not in axes:
        return None
    return Guess(None, "no array has the times; fill in the time between frames")


def _domain(axes: Axes, lines: dict[str, Line]) -> Guess | None:
    space = [axis for axis in SPACE if axis in axes] or ["x"]
    meshes = {axis: lines[axis] for axis in space if axis in lines and not lines[axis].usable}
    if all(axis in lines for axis in space):
        ends = {axis: (float(line.points[0]), float(line.points[-1])) for axis, line in meshes.items()}
        return Guess(ends, "the ends of a mesh, see grid") if ends else None
    example = ", ".join(f"{axis}: [0, 1]" for axis in space)
    return Guess(None, f"no array has coordinates; fill in the ends of the axes, such as {{{example}}}")


def _complex(facts: Facts) -> Guess | None:
    if not facts.imaginary:
        return None
    largest = max(facts.imaginary.values())
    if largest <= NEGLIGIBLE:
        return Guess("real", f"the imaginary part is rounding, {largest:.0e} of the largest number")
    return Guess("parts", f"imaginary parts up to {largest:.2g} of the largest number: two channels of each")


def _parameters(facts: Facts, trajectories: int | None) -> dict[str, str]:
    """Arrays with one number for every trajectory, increasing or not."""
    if not trajectories or trajectories < 2:
        return {}
    columns = {line.array: len(line.points) for line in facts.lines if line.axis is None} | dict(
        facts.numbers
    )
    return {_short(name): name for name, count in columns.items() if count == trajectories}


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _without(shape: tuple[int, ...], place: int) -> tuple[int, ...]:
    return shape[:place] + shape[place + 1 :]
