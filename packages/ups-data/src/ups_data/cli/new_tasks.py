"""The options of a task in a new spec, each with the reason for it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ups_core import UsageError
from ups_core.names import FIELD, fits
from ups_core.plugin_loader import registry_in_use
from ups_core.validate import BLANK
from ups_data.cli.layouts import VELOCITIES, Recognised, families, family_of, made_by_ups, recognise
from ups_data.guesses.boundary import SAMPLE, joined
from ups_data.guesses.facts import facts_of
from ups_data.guesses.guess import Guesses, guess
from ups_data.guesses.sides import guess_sides
from ups_data.stores.array_files import READERS
from ups_data.stores.array_options import SPACE

FEW = 3
"""Trajectories below which no split by trajectory has one in every part."""


@dataclass(frozen=True)
class Option:
    """One line of a spec: a key, its value, and why."""

    key: str
    value: Any
    why: str = ""


@dataclass(frozen=True)
class NewTask:
    """A task in a new spec.

    Attributes:
        options: in their order, `kind` first.
        steady: whether it has no time.
        cells: points along the shortest axis of space; None if that is not known.
        dim: number of axes of space; None if that is not known.
    """

    options: tuple[Option, ...]
    steady: bool
    cells: int | None = None
    dim: int | None = None

    @property
    def blanks(self) -> list[str]:
        """Keys of the options that are to be filled in."""
        return [option.key for option in self.options if option.value == BLANK]


@dataclass(frozen=True)
class Sources:
    """The files that a spec is made for: some to split, or those of every split."""

    files: tuple[Path, ...] = ()
    train: tuple[Path, ...] = ()
    val: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """All files, those to learn from first."""
        return (*self.files, *self.train, *self.val, *self.test)

    def options(self, root: Path) -> list[Option]:
        """The lines that name the files."""
        return [
            Option(key, [_place(path, root) for path in paths]) for key, paths in vars(self).items() if paths
        ]


def new_task(sources: Sources, root: Path) -> NewTask:
    """Look into the files and describe a task.

    Raises:
        UPSError: a file cannot be read, or no array can be a field.
        UsageError: a file does not exist or has an unknown ending.
    """
    for path in sources.all:
        if not path.exists():
            raise UsageError(f"{path} does not exist; name a data file")
        if path.suffix.lower() not in READERS:
            raise UsageError(f"{path} has an unknown ending; known: {', '.join(READERS)}")
    first = sources.all[0]
    recognised = recognise(first)
    if recognised is None:
        return _arrays(sources, root, guess(facts_of(first)))
    return _named(sources, root, recognised) or _files(sources, root, recognised)


def _arrays(sources: Sources, root: Path, guesses: Guesses) -> NewTask:
    """A task of the kind `arrays`."""
    axes = list(guesses.axes.value) if guesses.axes.value else BLANK
    options = [
        Option("kind", "arrays"),
        *sources.options(root),
        _channels(guesses),
        Option("axes", axes, guesses.axes.why),
    ]
    if guesses.static.value:
        options.append(Option("static", _names(guesses.static.value), guesses.static.why))
    if guesses.coordinates:
        named = {axis: item.value for axis, item in guesses.coordinates.items()}
        reasons = [f"{item.value} has {item.why}" for item in guesses.coordinates.values()]
        options.append(Option("coordinates", named, "; ".join(reasons)))
    for key in ("dt", "domain", "boundary", "complex"):
        if (item := getattr(guesses, key)) is not None:
            options.append(Option(key, BLANK if item.value is None else item.value, item.why))
        if key == "domain" and item is not None:
            nodes = item.value is not None
            why = (
                "the ends of a mesh are points"
                if nodes
                else "points are centres of cells; nodes: at both ends; edges: at the low end"
            )
            options.append(Option("grid", "nodes" if nodes else "cells", why))
    if guesses.parameters:
        why = "one number for every trajectory; remove what is not a parameter of the equation"
        options.append(Option("parameters", guesses.parameters, why))
    space = [cells for axis, cells in zip(axes, guesses.shape, strict=False) if axis in SPACE]
    split = _split(sources, guesses.trajectories, guesses.steady)
    return NewTask((*options, *split), guesses.steady, min(space, default=None), len(space) or None)


def _channels(guesses: Guesses) -> Option:
    names, axes = _names(guesses.channels.value), guesses.axes.value or ()
    if "channel" not in axes:
        return Option("channels", names, guesses.channels.why)
    arrays = names.values() if isinstance(names, dict) else names
    entries = {f"{name}_{entry}": array for name, array in _plain(arrays) for entry in range(guesses.entries)}
    return Option("channels", entries, "entries of the axis 'channel', in order; rename them")


def _split(sources: Sources, trajectories: int | None, steady: bool) -> list[Option]:
    if not sources.files or trajectories is None:
        return []
    count = trajectories * len(sources.files)
    if count < FEW and not steady:
        why = f"{count} trajector{'y' if count == 1 else 'ies'}: parts of the time are the splits"
        return [Option("split", {"by": "time"}, why)]
    what = "samples" if steady else "trajectories"
    return [Option("split", {"train": 0.8, "val": 0.1, "test": 0.1}, f"shares of {count} {what}")]


def _named(sources: Sources, root: Path, recognised: Recognised) -> NewTask | None:
    """A task of PDEBench by its name, where all files are where it looks for them."""
    matches = [family_of(path) for path in sources.files]
    if not matches or any(match is None or match[0] != matches[0][0] for match in matches if matches[0]):
        return None
    found = [match for match in matches if match is not None]
    if len(found) < len(matches) or any(made_by_ups(path) for path in sources.files):
        return None
    kind = found[0][0]
    family, head = families()[kind], recognised.file.head
    places = [{root / family.folder / path.name, root / path.name} for path in sources.files]
    if any(
        not any(place.exists() and place.samefile(path) for place in near)
        for path, near in zip(sources.files, places, strict=True)
    ):
        return None
    config = registry_in_use().get("tasks", kind).load_config().model_fields
    options = [Option("kind", kind, f"the name of the file is one of PDEBench's {kind}")]
    for number, parameter in enumerate(family.parameters):
        values = [match[1][number] for match in found]
        many = isinstance(config[parameter.name].default, list)
        if not many and len(values) > 1:
            return None
        options.append(Option(parameter.name, values if many else values[0], "in the name of the file"))
    points = min(head.shape[0], config["resolution"].default)
    count = min(head.trajectories, config["trajectories"].default)
    options += [
        Option("source", {"kind": "official"}, "these files and no generated ones"),
        Option("trajectories", count, f"the file has {head.trajectories}"),
        Option("resolution", points, f"the file has {head.shape[0]}; points are left out, not averaged"),
    ]
    if not family.steady:
        stride = config["time_stride"].default
        frames = min(config["frames"].default, (head.frames - 1) // stride + 1)
        options += [
            Option("frames", frames, f"the file has {head.frames}"),
            Option("time_stride", stride, f"frames of the file, {family.dt:g} apart, to a frame"),
        ]
    return NewTask(tuple(options), family.steady, points, len(head.shape))


def _files(sources: Sources, root: Path, recognised: Recognised) -> NewTask:
    """A task of the kind `files`."""
    head = recognised.file.head
    steady = not head.times
    match = family_of(sources.all[0])
    family = families()[match[0]] if match else None
    layout = {"kind": recognised.layout, **recognised.options}
    options = [
        Option("kind", "files"),
        *sources.options(root),
        Option("layout", layout if len(layout) > 1 else recognised.layout, "by the names in the file"),
    ]
    if family and isinstance(family.boundary, str):
        options.append(Option("boundary", family.boundary, f"that of PDEBench's {family.name}"))
        ends = {axis: list(pair) for axis, pair in zip(SPACE, family.domain, strict=False)}
        options.append(Option("domain", ends, f"that of PDEBench's {family.name}"))
    else:
        frames = recognised.file.frames(slice(0, min(SAMPLE, head.trajectories)), slice(0, head.frames))
        found = {axis: guess_sides(frames, place) for place, axis in enumerate(SPACE[: len(head.shape)])}
        words = joined({axis: word for axis, (word, _) in found.items()})
        options.append(
            Option("boundary", words, "; ".join(f"{axis}: {why}" for axis, (_, why) in found.items()))
        )
    known = {parameter.attribute: parameter for parameter in family.parameters} if family else {}
    stored = [name for name in head.parameters if not name.startswith("ups_")]
    if stored:
        named = {known[name].name if name in known else name: name for name in stored}
        options.append(Option("parameters", named, "name for models: name in the file"))
    if logarithmic := [known[name].name for name in stored if name in known and known[name].scale == "log"]:
        options.append(Option("log_scale", logarithmic, "it spans decades"))
    velocity = [name for name in VELOCITIES if name in head.channels]
    if len(velocity) == len(head.shape) and len(velocity) > 1:
        options.append(Option("vectors", {"velocity": velocity}, "mirrors and exchanges of axes change them"))
    if family:
        options.append(Option("equation", family.equation))
    split = _split(sources, head.trajectories, steady)
    return NewTask((*options, *split), steady, min(head.shape), len(head.shape))


def _place(path: Path, root: Path) -> str:
    """A path from the data root if the file is below it, else an absolute one."""
    absolute, start = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return str(absolute.relative_to(start) if absolute.is_relative_to(start) else absolute)


def _names(arrays: Sequence[str]) -> list[str] | dict[str, str]:
    """Arrays as channels: by their names if these may be names of channels."""
    return list(arrays) if all(fits(FIELD, name) for name in arrays) else dict(_plain(arrays))


def _plain(arrays: Any) -> list[tuple[str, str]]:
    """Names of channels for arrays, each with its array."""
    return [
        (re.sub(r"[^\w-]", "_", name.rsplit("/", 1)[-1]).lstrip("-")[:60] or "u", name) for name in arrays
    ]
