"""What PDEBench's one-dimensional evolution problems share: options, grid, frames."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field, field_validator, model_validator

from ups_data.info import Channel, Invariant, Parameter, Symmetry, TaskInfo
from ups_data.stores.pdebench import Family, Request
from ups_data.stores.striding import check_resolution
from ups_data.tasks.base import PDETaskConfig, Task

POINTS = 1024
FRAMES = 201
DT = 0.01


class Evolution1dConfig(PDETaskConfig):
    """Options of an evolution on the unit circle; raw frames are 0.01 apart on 1024 points."""

    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    history: int = Field(default=1, ge=1)
    """Frames given to a model."""
    frames: int = Field(default=41, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 from one frame to the next: 5 gives dt = 0.05."""

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: int) -> int:
        return check_resolution(resolution, POINTS)

    @model_validator(mode="after")
    def _fits(self) -> Evolution1dConfig:
        # Checked here, because the planner must refuse a spec before any file is read or generated.
        last = (self.frames - 1) * self.time_stride
        if last >= FRAMES:
            raise ValueError(
                f"{self.frames} frames {self.time_stride} apart end at raw frame {last}, "
                f"but the last one is {FRAMES - 1}; use fewer frames or a smaller time_stride"
            )
        if self.history >= self.frames:
            raise ValueError(
                f"history {self.history} leaves none of {self.frames} frames to predict; use a smaller one"
            )
        return self


def distinct(values: list[float], name: str) -> list[float]:
    """The values of a parameter, one data file each.

    Raises:
        ValueError: a value is given twice.
    """
    if len(set(values)) < len(values):
        raise ValueError(f"{name} {values} contains a value twice; remove the duplicate")
    return values


class Evolution1d(Task):
    """An evolution of one field u on the unit circle, for some values of one parameter."""

    config: Evolution1dConfig
    family: Family

    @property
    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """Values of the parameter."""

    def describe_as(
        self,
        parameter: Parameter,
        *,
        invariants: tuple[Invariant, ...],
        symmetries: tuple[Symmetry, ...],
        equation: str,
    ) -> TaskInfo:
        """The problem, given what is specific to it; see :class:`TaskInfo`."""
        config = self.config
        return TaskInfo(
            name=self.name,
            family=self.family.name,
            kind="evolution",
            channels=(Channel("u", "1", "state"),),
            parameters=(parameter,),
            boundary="periodic",
            domain=((0.0, 1.0),),
            shape=(config.resolution,),
            dt=DT * config.time_stride,
            frames=config.frames,
            history=config.history,
            invariants=invariants,
            symmetries=symmetries,
            equation=equation,
            points=self.request.points,
        )

    @property
    def request(self) -> Request:
        """The data files that the task needs."""
        config = self.config
        return Request(
            family=self.family,
            values=self.values,
            trajectories=config.trajectories,
            resolution=config.resolution,
            frames=config.frames,
            time_stride=config.time_stride,
        )
