"""The task `darcy2d`: -∇·(a∇u) = β on the unit square, PDEBench's 2D_DarcyFlow."""

from __future__ import annotations

from pydantic import Field, field_validator

from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.stores.pdebench import Family, Request
from ups_data.stores.striding import check_resolution
from ups_data.tasks.base import PDETaskConfig, Task

DARCY = Family(
    name="darcy2d",
    folder="2D/DarcyFlow",
    pattern="2D_DarcyFlow_beta{}_Train.hdf5",
    parameter="beta",
    native=(128, 128),
    frames=1,
    dt=0.0,
    solution="tensor",
    coefficient="nu",
    generator="ups_data.generators.darcy:generate",
    version=1,
    datafiles={0.01: 133217, 0.1: 133218, 1.0: 133219, 10.0: 133220, 100.0: 133221},
    caveat="official Darcy files are transient states at t = 1.75, not the steady solution",
)


class Darcy2dConfig(PDETaskConfig):
    """Steady flow through PDEBench's two-material media, from the coefficient a to the solution u."""

    beta: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Constant source; PDEBench published 0.01, 0.1, 1, 10 and 100."""
    resolution: int = 64
    """Grid points along each axis; divides the 128 points of the native grid."""

    @field_validator("resolution")
    @classmethod
    def _divides(cls, resolution: int) -> int:
        return check_resolution(resolution, DARCY.native[0])


class Darcy2d(Task):
    """Steady Darcy flow: a coefficient-to-solution problem without time."""

    config: Darcy2dConfig

    @property
    def info(self) -> TaskInfo:
        """The problem."""
        config = self.config
        return TaskInfo(
            name=self.name,
            family=DARCY.name,
            kind="steady",
            channels=(Channel("a", "1", "coefficient"), Channel("u", "1", "target")),
            parameters=(Parameter("beta", "1", config.beta, config.beta),),
            boundary="dirichlet",
            domain=((0.0, 1.0), (0.0, 1.0)),
            shape=(config.resolution, config.resolution),
            dt=0.0,
            frames=1,
            history=0,
            invariants=(),
            symmetries=("reflection", "transpose"),
            equation="-div(a grad u) = beta",
            points=self.request.points,
        )

    @property
    def request(self) -> Request:
        """The data files that the task needs."""
        config = self.config
        return Request(DARCY, (config.beta,), config.trajectories, config.resolution)
