"""Families of PDEBench files: names, layout, and where the official copies are.

A task asks for data with a :class:`Request`, which is all that readers, generators and sources need to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

GENERATOR_ATTRIBUTE = "ups_generator"
"""File attribute that distinguishes generated files from official ones."""


@dataclass(frozen=True)
class Family:
    """One kind of PDEBench file; every file holds one parameter value.

    Attributes:
        name: first part of the names of generated folders.
        folder: PDEBench's folder of the official files, relative to the data root.
        pattern: file name with `{}` for the parameter value.
        parameter: the parameter's name, also the file attribute that holds it.
        native: grid of the official files; points are cell centres of the unit interval (square).
        frames: frames of an official trajectory; 1 when steady.
        dt: time between official frames; 0 when steady.
        solution: dataset of the solution, `(n, T, *S)`.
        coefficient: dataset of the coefficient, `(n, *S)`, or None.
        generator: `"module:function"`, a :class:`ups_data.stores.pdebench_writer.Generator`.
        version: raised whenever the generator's values change.
        datafiles: parameter value -> DaRUS file id of the official file.
        caveat: a defect of the official files that a user must know, or "".
    """

    name: str
    folder: str
    pattern: str
    parameter: str
    native: tuple[int, ...]
    frames: int
    dt: float
    solution: str
    coefficient: str | None
    generator: str
    version: int
    datafiles: Mapping[float, int]
    caveat: str = ""

    def file_name(self, value: float) -> str:
        """PDEBench's name of the file of one parameter value."""
        return self.pattern.format(float(value))

    @property
    def official_bytes(self) -> int:
        """Approximate size of one official file of 10,000 trajectories."""
        fields = self.frames + (self.coefficient is not None)
        return 10_000 * 4 * fields * prod(self.native)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the coordinate datasets of the spatial axes."""
        return tuple(f"{axis}-coordinate" for axis in "xyz"[: len(self.native)])


@dataclass(frozen=True)
class Request:
    """The data that a task asks for: strided native data, one file per parameter value.

    Attributes:
        family: kind of the files.
        values: parameter values.
        trajectories: trajectories of every file, from the first one.
        resolution: grid points along every axis.
        frames: frames of a trajectory.
        time_stride: native frames from one frame to the next.
    """

    family: Family
    values: tuple[float, ...]
    trajectories: int
    resolution: int
    frames: int = 1
    time_stride: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Grid of the task."""
        return (self.resolution,) * len(self.family.native)

    @cached_property
    def axis(self) -> tuple[float, ...]:
        """Coordinates along any spatial axis: every stride-th cell centre of the native grid."""
        native = self.family.native[0]
        return tuple((point + 0.5) / native for point in range(0, native, native // self.resolution))

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """First and last coordinate of every spatial axis."""
        return ((self.axis[0], self.axis[-1]),) * len(self.family.native)

    @property
    def nbytes(self) -> int:
        """Size of one file's selection as float32."""
        fields = self.frames + (self.family.coefficient is not None)
        return 4 * self.trajectories * fields * prod(self.shape)

    def times(self, count: int) -> tuple[float, ...]:
        """The first `count` frame times."""
        return tuple(self.family.dt * self.time_stride * frame for frame in range(count))

    def identity(self, value: float | None = None) -> dict[str, Any]:
        """What the values of the data depend on, as plain data; with `value`, those of one file."""
        identity = {
            "family": self.family.name,
            "trajectories": self.trajectories,
            "resolution": self.resolution,
            "frames": self.frames,
            "time_stride": self.time_stride,
        }
        return identity if value is None else identity | {self.family.parameter: value}

    def generated_identity(self, seed: int, value: float | None = None) -> dict[str, Any]:
        """:meth:`identity` of generated data, which also depends on the generator and its seed."""
        generator = {"generator": self.family.generator, "version": self.family.version, "seed": seed}
        return generator | self.identity(value)
