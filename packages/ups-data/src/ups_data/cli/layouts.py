"""Which registered layout a file has, with the options that fit it, and which family of PDEBench it is of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ups_core import Component, UPSError
from ups_core.plugin_loader import registry_in_use
from ups_data.stores.hdf5 import names_of, open_hdf5
from ups_data.stores.layout import FieldFile
from ups_data.tasks.pdebench import Family
from ups_data.tasks.places import NUMBER

VELOCITIES = ("Vx", "Vy", "Vz")
HDF5 = (".h5", ".hdf5")
"""Endings of HDF5 files, of which the layout is looked for."""


@dataclass(frozen=True)
class Recognised:
    """A file that a registered layout reads.

    Attributes:
        layout: name of the layout.
        options: those of its options that are not defaults.
        file: the file, opened with them.
    """

    layout: str
    file: FieldFile
    options: Mapping[str, Any] = field(default_factory=dict)


def layout_of(path: Path) -> str | None:
    """The name of the registered layout that a file has; None if it has none of them."""
    entries = registry_in_use().entries("layouts")
    layouts = {entry.name: Component.of("layouts", entry.name).create() for entry in entries}
    return next((name for name, layout in layouts.items() if layout.recognises(path)), None)


def recognise(path: Path) -> Recognised | None:
    """A file by its layout, with the first options that fit; None if no layout recognises it.

    Raises:
        UPSError: a layout recognises the file, but cannot read it.
    """
    if path.suffix.lower() not in HDF5 or (name := layout_of(path)) is None:
        return None
    problem: UPSError | None = None
    for options in _options(name, path):
        layout = Component.of("layouts", name, options).create()
        if not layout.recognises(path):
            continue
        file: FieldFile = layout.open(path)
        try:
            _ = file.head
        except UPSError as error:
            problem = error
            continue
        return Recognised(name, file, options)
    if problem is not None:
        raise problem
    return None


def _options(layout: str, path: Path) -> Iterator[Mapping[str, Any]]:
    """Options that a file may need, the ones that expect most first."""
    fields = ("density", "pressure", *VELOCITIES)
    if layout == "pdebench_fields" and (more := names_of(path) & set(VELOCITIES[1:])):
        yield {"fields": [name for name in fields if name in more or name not in VELOCITIES[1:]]}
    known = [family.layout_options for family in families().values() if family.layout == layout]
    yield from sorted(known, key=len, reverse=True)
    yield {}


def families() -> dict[str, Family]:
    """Registered kind of a task of PDEBench -> its family."""
    found = {}
    for entry in registry_in_use().entries("tasks"):
        try:
            family = getattr(entry.load(), "family", None)
        except UPSError:
            continue  # a plugin that cannot be imported has no files to recognise
        if isinstance(family, Family):
            found[entry.name] = family
    return found


def family_of(path: Path) -> tuple[str, tuple[float, ...]] | None:
    """The registered kind of the family whose pattern a file's name has, and the parameters in the name."""
    for kind, family in families().items():
        parts = map(re.escape, family.pattern.split("{}"))
        if match := re.fullmatch(f"({NUMBER})".join(parts), path.name):
            return kind, tuple(map(float, match.groups()))
    return None


def made_by_ups(path: Path) -> bool:
    """Whether a file was generated, not downloaded."""
    with open_hdf5(path) as file:
        return "ups_generator" in file.attrs
