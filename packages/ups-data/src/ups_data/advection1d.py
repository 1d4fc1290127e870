"""The task `advection1d`: u_t + β u_x = 0 on the unit circle, PDEBench's 1D_Advection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ups_data.family import Family, Request
from ups_data.resolution import check_resolution
from ups_data.task import Channel, Parameter, Task, TaskConfig, TaskInfo

ADVECTION = Family(
    name="advection1d",
    folder="1D/Advection/Train",
    pattern="1D_Advection_Sols_beta{}.hdf5",
    parameter="beta",
    native=(1024,),
    frames=201,
    dt=0.01,
    solution="tensor",
    coefficient=None,
    generator="ups_data.generators.advection:generate",
    version=1,
    datafiles={
        0.1: 255672, 0.2: 255671, 0.4: 255674, 0.7: 255666,
        1.0: 255675, 2.0: 255677, 4.0: 255676, 7.0: 255664,
    },
    caveat="official files are a finite-volume solution, 1e-3 to 2e-2 off the exact translate at t = 2",
)  # fmt: skip

Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Advection1dConfig(TaskConfig):
    """Linear advection of PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    beta: list[Speed] = Field(default=[0.4], min_length=1)
    """Advection speeds, one data file each; PDEBench published 0.1, 0.2, 0.4, 0.7, 1, 2, 4 and 7."""
    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    history: int = Field(default=1, ge=1)
    """Frames given to a model."""
    frames: int = Field(default=41, ge=2)
    """Frames of a trajectory, given ones included."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 between two frames: 5 gives dt = 0.05."""

    @field_validator("beta")
    @classmethod
    def _distinct(cls, beta: list[float]) -> list[float]:
        if len(set(beta)) < len(beta):
            raise ValueError(f"beta {beta} holds a value twice")
        return beta

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: int) -> int:
        return check_resolution(resolution, ADVECTION.native[0])

    @model_validator(mode="after")
    def _fits(self) -> Advection1dConfig:
        last = (self.frames - 1) * self.time_stride
        if last >= ADVECTION.frames:
            raise ValueError(
                f"{self.frames} frames {self.time_stride} apart end at raw frame {last}, "
                f"the last one is {ADVECTION.frames - 1}; take fewer frames or a smaller time_stride"
            )
        if self.history >= self.frames:
            raise ValueError(f"history {self.history} leaves none of {self.frames} frames to predict")
        return self


class Advection1d(Task):
    """Linear advection with periodic ends."""

    config: Advection1dConfig

    @property
    def info(self) -> TaskInfo:
        config = self.config
        return TaskInfo(
            name=self.name,
            family=ADVECTION.name,
            kind="evolution",
            channels=(Channel("u", "1", "state"),),
            parameters=(Parameter("beta", "1", min(config.beta), max(config.beta)),),
            boundary="periodic",
            domain=((0.0, 1.0),),
            shape=(config.resolution,),
            dt=ADVECTION.dt * config.time_stride,
            frames=config.frames,
            history=config.history,
            invariants=("mean", "l2"),
            equation="u_t + beta u_x = 0",
        )

    @property
    def request(self) -> Request:
        config = self.config
        return Request(
            ADVECTION,
            tuple(config.beta),
            config.trajectories,
            config.resolution,
            config.frames,
            config.time_stride,
        )
