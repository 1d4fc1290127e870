"""The task `advection1d`: u_t + β u_x = 0 on the unit circle, PDEBench's 1D_Advection."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, FileParameter, PDEBenchTask, Values, distinct

ADVECTION = Family(
    name="advection1d",
    native=(1024,),
    frames=201,
    dt=0.01,
    channels=(Channel("u", "1", "state"),),
    domain=((0.0, 1.0),),
    boundary="periodic",
    parameters=(FileParameter("beta", "beta"),),
    folder="1D/Advection/Train",
    pattern="1D_Advection_Sols_beta{}.hdf5",
    datafiles={
        (0.1,): 255672,
        (0.2,): 255671,
        (0.4,): 255674,
        (0.7,): 255666,
        (1.0,): 255675,
        (2.0,): 255677,
        (4.0,): 255676,
        (7.0,): 255664,
    },
    layout="pdebench_tensor",
    equation="u_t + beta u_x = 0",
    invariants=("mean", "l2"),
    symmetries=("translation", "sign"),
    generation=Generation("ups_data.generators.advection:generate", version=1),
    caveat="official files are a finite-volume solution, at beta 0.4 off the exact translate by 4e-4 to 6e-3",
    solver="ups_data.solvers.advection:SpectralShift",
    solver_kind="differentiable",
)

Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Evolution1dConfig(EvolutionConfig):
    """Options of PDEBench's scalar problems on 1024 points with frames 0.01 apart."""

    native: ClassVar[int] = 1024
    raw_frames: ClassVar[int] = 201
    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    frames: int = Field(default=41, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 from one frame to the next: 5 gives dt = 0.05."""


class Advection1dConfig(Evolution1dConfig):
    """Linear advection of PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    beta: list[Speed] = Field(default=[0.4], min_length=1)
    """Advection speeds, one data file each; PDEBench published 0.1, 0.2, 0.4, 0.7, 1, 2, 4 and 7."""

    @field_validator("beta")
    @classmethod
    def _distinct(cls, beta: list[float]) -> list[float]:
        return distinct(beta, "beta")


class Advection1d(PDEBenchTask):
    """Linear advection on a periodic domain."""

    config: Advection1dConfig
    family = ADVECTION

    @property
    def values(self) -> tuple[Values, ...]:
        """Advection speeds β."""
        return tuple((beta,) for beta in self.config.beta)
