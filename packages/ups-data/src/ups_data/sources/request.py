"""What a task asks of a source: its files, and how those that can be computed are generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ups_core import Component
from ups_data.info import TaskInfo

GENERATOR_ATTRIBUTE = "ups_generator"
"""File attribute that distinguishes generated files from official ones."""

OF_THE_SPEC = ("name", "parameters")
"""What describes the task of a spec and no file: its name, and the ranges over all files."""


@dataclass(frozen=True)
class DataFile:
    """One file of a task.

    Attributes:
        name: the file's name.
        parameters: the PDE parameters that the file has, by the names of its attributes.
        folder: folder of the official file, relative to the data root.
        datafile: DaRUS number of the official file; None if PDEBench did not publish it.
        nbytes: size of the official file.
    """

    name: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    folder: str = ""
    datafile: int | None = None
    nbytes: int = 0


@dataclass(frozen=True)
class Generation:
    """How the files of a task are computed.

    Attributes:
        function: `"module:function"`, a :class:`ups_data.sources.writing.Generator`.
        version: raised whenever the function's values change.
        block: trajectories computed and written at once; few for an expensive generator, so that progress
            shows.
        limit: why these options cannot be computed accurately, with the way out; "" if they can.
    """

    function: str
    version: int
    block: int = 64
    limit: str = ""


@dataclass(frozen=True)
class Request:
    """The files that a task needs.

    Attributes:
        family: the registered kind of the task; first part of the names of generated folders.
        info: the problem.
        files: in the order of the store.
        layout: how the files map to trajectories, a component of `layouts`.
        trajectories: of every file, from the first one.
        selection: what else the values depend on, as plain data; default: all of the problem but its name and
            the ranges of its parameters.
        generation: how files are computed; None if they cannot be.
        paired: whether trajectory number i starts alike in every file.
        published: the official files in a few words, e.g. `beta = 0.1, 0.4`; "" if they are not listed.
        caveat: a defect of the official files that a user must know, or "".
    """

    family: str
    info: TaskInfo
    files: tuple[DataFile, ...]
    layout: Component
    trajectories: int
    selection: Mapping[str, Any] | None = None
    generation: Generation | None = None
    paired: bool = True
    published: str = ""
    caveat: str = ""

    @property
    def nbytes(self) -> int:
        """Size of one file's selection as float32."""
        info = self.info
        fields = info.frames * len(info.target_channels) + len(info.static_channels)
        return 4 * self.trajectories * fields * prod(info.shape)

    def identity(self, file: DataFile | None = None) -> dict[str, Any]:
        """What the values of the data depend on, as plain data; with `file`, those of one file."""
        problem = {key: value for key, value in self.info.to_dict().items() if key not in OF_THE_SPEC}
        selection = {"problem": problem} if self.selection is None else self.selection
        identity = {"family": self.family, "trajectories": self.trajectories, **selection}
        return identity if file is None else identity | dict(file.parameters)

    def generated_identity(self, seed: int, file: DataFile | None = None) -> dict[str, Any]:
        """:meth:`identity` of generated data, which also depends on the generator and its seed.

        Raises:
            AssertionError: the files cannot be generated.
        """
        assert self.generation is not None
        generator = {"generator": self.generation.function, "version": self.generation.version, "seed": seed}
        return generator | self.identity(file)
