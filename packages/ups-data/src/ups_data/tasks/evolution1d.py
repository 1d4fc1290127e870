"""What PDEBench's one-dimensional evolution problems share: options, grid, frames."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field, field_validator, model_validator

from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.stores.pdebench import Family, Request
from ups_data.stores.striding import check_resolution
from ups_data.tasks.base import PDETaskConfig, Task

POINTS = 1024
FRAMES = 201
DT = 0.01


class LineConfig(PDETaskConfig):
    """Options of an evolution on the unit circle; raw frames are 0.01 apart on 1024 points."""

    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    history: int = Field(default=1, ge=1)
    """Frames given to a model."""
    frames: int = Field(default=41, ge=2)
    """Frames of a trajectory, given ones included."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 between two frames: 5 gives dt = 0.05."""

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: int) -> int:
        return check_resolution(resolution, POINTS)

    @model_validator(mode="after")
    def _fits(self) -> LineConfig:
        last = (self.frames - 1) * self.time_stride
        if last >= FRAMES:
            raise ValueError(
                f"{self.frames} frames {self.time_stride} apart end at raw frame {last}, "
                f"the last one is {FRAMES - 1}; take fewer frames or a smaller time_stride"
            )
        if self.history >= self.frames:
            raise ValueError(f"history {self.history} leaves none of {self.frames} frames to predict")
        return self


def distinct(values: list[float], name: str) -> list[float]:
    """The values of a parameter, one data file each. Raises ValueError where one comes twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{name} {values} holds a value twice")
    return values


class LineTask(Task):
    """An evolution of one field u on the unit circle, for some values of one parameter."""

    config: LineConfig
    family: Family

    @property
    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """Values of the parameter."""

    def describe_as(
        self, parameter: Parameter, *, invariants: tuple[str, ...], symmetries: tuple[str, ...], equation: str
    ) -> TaskInfo:
        """The problem, from what is particular to it."""
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
        )

    @property
    def request(self) -> Request:
        config = self.config
        return Request(
            self.family,
            self.values,
            config.trajectories,
            config.resolution,
            config.frames,
            config.time_stride,
        )
