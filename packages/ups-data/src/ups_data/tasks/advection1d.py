"""The task `advection1d`: u_t + β u_x = 0 on the unit circle, PDEBench's 1D_Advection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ups_data.info import Parameter, TaskInfo
from ups_data.stores.pdebench import Family
from ups_data.tasks.evolution1d import DT, FRAMES, POINTS, Evolution1d, Evolution1dConfig, distinct

ADVECTION = Family(
    name="advection1d",
    folder="1D/Advection/Train",
    pattern="1D_Advection_Sols_beta{}.hdf5",
    parameter="beta",
    native=(POINTS,),
    frames=FRAMES,
    dt=DT,
    solution="tensor",
    coefficient=None,
    generator="ups_data.generators.advection:generate",
    version=1,
    datafiles={
        0.1: 255672,
        0.2: 255671,
        0.4: 255674,
        0.7: 255666,
        1.0: 255675,
        2.0: 255677,
        4.0: 255676,
        7.0: 255664,
    },
    caveat="official files are a finite-volume solution, at beta 0.4 off the exact translate by 4e-4 to 6e-3",
)

Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Advection1dConfig(Evolution1dConfig):
    """Linear advection of PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    beta: list[Speed] = Field(default=[0.4], min_length=1)
    """Advection speeds, one data file each; PDEBench published 0.1, 0.2, 0.4, 0.7, 1, 2, 4 and 7."""

    @field_validator("beta")
    @classmethod
    def _distinct(cls, beta: list[float]) -> list[float]:
        return distinct(beta, "beta")


class Advection1d(Evolution1d):
    """Linear advection on a periodic domain."""

    config: Advection1dConfig
    family = ADVECTION

    @property
    def values(self) -> tuple[float, ...]:
        """Advection speeds β."""
        return tuple(self.config.beta)

    @property
    def info(self) -> TaskInfo:
        """The problem."""
        return self.describe_as(
            Parameter("beta", "1", min(self.values), max(self.values)),
            invariants=("mean", "l2"),
            symmetries=("translation", "sign"),
            equation="u_t + beta u_x = 0",
        )
