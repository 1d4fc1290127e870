"""What the problems of PDEBench share: a family of official files, and options that select from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field, field_validator, model_validator

from ups_core import Component, UPSError
from ups_core.mistakes import did_you_mean
from ups_core.references import load_object
from ups_data.info import (
    Boundary,
    Channel,
    Invariant,
    Parameter,
    Scale,
    Sides,
    SolverKind,
    Symmetry,
    TaskInfo,
)
from ups_data.sources.request import DataFile, Generation, Request
from ups_data.stores.striding import cell_centres, check_resolution
from ups_data.tasks.sourced import SourcedConfig, SourcedTask

if TYPE_CHECKING:
    from ups_data.solvers.base import ClassicalSolver

Number = TypeVar("Number", int, float)
Values = tuple[float, ...]
"""Values of the parameters of one file."""


@dataclass(frozen=True)
class FileParameter:
    """A parameter that every file of a family has one value of.

    Attributes:
        name: the task's name of it.
        attribute: the file attribute that holds it.
        scale: see :class:`~ups_data.info.Parameter`.
        unit: see :class:`~ups_data.info.Parameter`.
    """

    name: str
    attribute: str
    scale: Scale = "linear"
    unit: str = "1"


@dataclass(frozen=True)
class Family:
    """One problem of PDEBench and its official files.

    Attributes:
        name: the registered kind of the task.
        native: grid of the official files; points are the centres of equal cells.
        frames: frames of an official trajectory; 1 when steady.
        dt: time between official frames; 0 when steady.
        channels: all fields.
        domain: (low, high) of every axis.
        boundary: see :class:`~ups_data.info.TaskInfo`.
        parameters: what distinguishes the files.
        folder: PDEBench's folder of the files, relative to the data root.
        pattern: file name with `{}` for every parameter.
        datafiles: parameter values -> DaRUS file id.
        layout: registered name of the files' layout.
        layout_options: its options.
        equation: the problem in one line of text.
        invariants: see :class:`~ups_data.info.TaskInfo`.
        symmetries: see :class:`~ups_data.info.TaskInfo`.
        generation: how files are computed; None if they cannot be.
        trajectories: of an official file.
        paired: whether trajectory number i starts alike in every file.
        spellings: parameter value -> how file names write it, where that is not Python's way.
        caveat: a defect of the official files that a user must know, or "".
        solver: a :class:`~ups_data.solvers.base.ClassicalSolver` as `module:attribute`, or "".
        solver_kind: see :class:`~ups_data.info.TaskInfo`.
    """

    name: str
    native: tuple[int, ...]
    frames: int
    dt: float
    channels: tuple[Channel, ...]
    domain: tuple[tuple[float, float], ...]
    boundary: Boundary | tuple[Sides, ...]
    parameters: tuple[FileParameter, ...]
    folder: str
    pattern: str
    datafiles: Mapping[Values, int]
    layout: str
    equation: str
    layout_options: Mapping[str, Any] = field(default_factory=dict)
    invariants: tuple[Invariant, ...] = ()
    symmetries: tuple[Symmetry, ...] = ()
    generation: Generation | None = None
    trajectories: int = 10_000
    paired: bool = True
    spellings: Mapping[float, str] = field(default_factory=dict)
    caveat: str = ""
    solver: str = ""
    solver_kind: SolverKind = "none"

    @property
    def steady(self) -> bool:
        """Whether the problem is steady."""
        return self.dt == 0

    @property
    def official_bytes(self) -> int:
        """Approximate size of one official file."""
        static = sum(channel.role == "coefficient" for channel in self.channels)
        fields = self.frames * (len(self.channels) - static) + static
        return self.trajectories * 4 * fields * prod(self.native)

    def file(self, values: Values) -> DataFile:
        """The official file of some parameter values."""
        texts = [self.spellings.get(value, str(float(value))) for value in values]
        return DataFile(
            name=self.pattern.format(*texts),
            parameters={
                parameter.attribute: value for parameter, value in zip(self.parameters, values, strict=True)
            },
            folder=self.folder,
            datafile=self.datafiles.get(tuple(map(float, values))),
            nbytes=self.official_bytes,
        )

    @property
    def published_files(self) -> tuple[DataFile, ...]:
        """All official files."""
        return tuple(map(self.file, self.datafiles))

    @property
    def published(self) -> str:
        """The values of the official files in a few words; "" if none are listed."""
        if not self.datafiles:
            return ""
        names = ", ".join(parameter.attribute for parameter in self.parameters)
        values = ", ".join(
            str(value[0]) if len(value) == 1 else f"({', '.join(map(str, value))})"
            for value in self.datafiles
        )
        return f"{names} = {values}"


class PDEBenchConfig(SourcedConfig):
    """Options of every problem of PDEBench."""

    native: ClassVar[int]
    """Points of the official grid along every axis."""
    resolution: int
    """Points along each axis; divides those of the native grid."""
    hidden: list[str] = []
    """Parameters that models are not given, as if nobody had measured them: a start then has many futures."""

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: int) -> int:
        return check_resolution(resolution, cls.native)


class EvolutionConfig(PDEBenchConfig):
    """Options of every evolution of PDEBench."""

    raw_frames: ClassVar[int]
    """Frames of an official trajectory."""
    history: int = Field(default=1, ge=1)
    """Frames given to a model."""
    frames: int = Field(ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=1, ge=1)
    """Raw frames from one frame to the next."""

    @model_validator(mode="after")
    def _fits(self) -> EvolutionConfig:
        # Checked here, because the planner must refuse a spec before any file is read or generated.
        last = (self.frames - 1) * self.time_stride
        if last >= self.raw_frames:
            raise ValueError(
                f"{self.frames} frames {self.time_stride} apart end at raw frame {last}, "
                f"but the last one is {self.raw_frames - 1}; use fewer frames or a smaller time_stride"
            )
        if self.history >= self.frames:
            raise ValueError(
                f"history {self.history} leaves none of {self.frames} frames to predict; use a smaller one"
            )
        return self


class PDEBenchTask(SourcedTask):
    """A problem of PDEBench, for some of its files."""

    config: PDEBenchConfig

    @property
    @abstractmethod
    def family(self) -> Family:
        """The problem and its official files."""

    @classmethod
    def published_files(cls) -> tuple[DataFile, ...]:
        """All official files of the problem, whatever the options."""
        family = cls.family
        assert isinstance(family, Family), "a problem of several families says what their files are"
        return family.published_files

    @property
    @abstractmethod
    def values(self) -> tuple[Values, ...]:
        """Parameter values of every file."""

    @property
    def generation(self) -> Generation | None:
        """How the files are computed; its `limit` says why not, where these options are beyond it."""
        return self.family.generation

    @property
    def info(self) -> TaskInfo:
        """The problem."""
        config, family = self.config, self.family
        frames, stride, history = _time(config)
        columns = dict(zip(family.parameters, zip(*self.values, strict=True), strict=True))
        return TaskInfo(
            name=self.name,
            family=family.name,
            kind="steady" if family.steady else "evolution",
            channels=family.channels,
            parameters=tuple(
                Parameter(
                    parameter.name,
                    parameter.unit,
                    min(columns[parameter]),
                    max(columns[parameter]),
                    parameter.scale,
                )
                for parameter in self._given
            ),
            boundary=family.boundary,
            domain=family.domain,
            shape=(config.resolution,) * len(family.native),
            dt=family.dt * stride,
            frames=frames,
            history=history,
            invariants=family.invariants,
            symmetries=family.symmetries,
            equation=family.equation,
            points=tuple((axis[0], axis[-1]) for axis in self._axes),
            solver=family.solver_kind if self._solvable else "none",
        )

    @property
    def _given(self) -> tuple[FileParameter, ...]:
        """The parameters that models are given.

        Raises:
            UPSError: one is to be hidden that there is not.
        """
        known = {parameter.name: parameter for parameter in self.family.parameters}
        for name in self.config.hidden:
            if name not in known:
                hint = did_you_mean(name, list(known)) or f" (it has {', '.join(known) or 'none'})"
                raise UPSError(f"task '{self.name}': hidden '{name}' is not a parameter of the problem{hint}")
        return tuple(known[name] for name in known if name not in self.config.hidden)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """See :class:`SourcedTask`."""
        return tuple(parameter.attribute for parameter in self._given)

    def solver(self) -> ClassicalSolver | None:
        """See :class:`~ups_data.tasks.base.Task`; none where it would need what is hidden."""
        if not self._solvable:
            return None
        made: ClassicalSolver = load_object(self.family.solver)()
        return made

    @property
    def _solvable(self) -> bool:
        """Whether there is a solver that can be used."""
        return bool(self.family.solver) and not self.config.hidden

    @property
    def _axes(self) -> tuple[tuple[float, ...], ...]:
        """Coordinates along every axis: every so many cell centres of the native grid."""
        family, points = self.family, self.config.resolution
        return tuple(
            cell_centres(cells, points, low, high)
            for (low, high), cells in zip(family.domain, family.native, strict=True)
        )

    @property
    def files(self) -> tuple[DataFile, ...]:
        """One file for every set of values."""
        return tuple(map(self.family.file, self.values))

    @property
    def request(self) -> Request:
        """The files."""
        config, family = self.config, self.family
        frames, stride, _ = _time(config)
        return Request(
            family=family.name,
            info=self.info,
            files=self.files,
            layout=Component.of("layouts", family.layout, family.layout_options),
            trajectories=config.trajectories,
            selection={"resolution": config.resolution, "frames": frames, "time_stride": stride},
            generation=self.generation,
            paired=family.paired,
            published=family.published,
            caveat=family.caveat,
        )


def distinct(values: list[Number], name: str) -> list[Number]:
    """The values of an option that has one data file for each.

    Raises:
        ValueError: a value is given twice.
    """
    if len(set(values)) < len(values):
        raise ValueError(f"{name} {values} contains a value twice; remove the duplicate")
    return values


def _time(config: PDEBenchConfig) -> tuple[int, int, int]:
    """Frames, stride and history; 1, 1 and 0 when steady."""
    if isinstance(config, EvolutionConfig):
        return config.frames, config.time_stride, config.history
    return 1, 1, 0
