"""The task `burgers1d`: u_t + (u²/2)_x = (ν/π) u_xx on the unit circle, PDEBench's 1D_Burgers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ups_data.generators.burgers_resolution import smallest_nu
from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.advection1d import Evolution1dConfig
from ups_data.tasks.pdebench import Family, FileParameter, PDEBenchTask, Values, distinct

BURGERS = Family(
    name="burgers1d",
    native=(1024,),
    frames=201,
    dt=0.01,
    channels=(Channel("u", "1", "state"),),
    domain=((0.0, 1.0),),
    boundary="periodic",
    parameters=(FileParameter("nu", "Nu", scale="log"),),
    folder="1D/Burgers/Train",
    pattern="1D_Burgers_Sols_Nu{}.hdf5",
    datafiles={
        (0.001,): 268190,
        (0.002,): 268193,
        (0.004,): 268191,
        (0.01,): 281363,
        (0.02,): 268189,
        (0.04,): 281362,
        (0.1,): 268185,
        (0.2,): 268187,
        (0.4,): 268192,
        (1.0,): 281365,
        (2.0,): 281364,
        (4.0,): 268188,
    },
    layout="pdebench_tensor",
    equation="u_t + (u^2/2)_x = (nu/pi) u_xx",
    invariants=("mean",),
    symmetries=("translation", "odd_reflection"),
    generation=Generation("ups_data.generators.burgers:generate", version=2),
    caveat="official files are a finite-volume solution, about 1e-3 off the exact one at nu = 0.01",
    solver="ups_data.solvers.burgers:ColeHopf",
    solver_kind="forward",
)

Viscosity = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Burgers1dConfig(Evolution1dConfig):
    """Viscous Burgers flow of PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    nu: list[Viscosity] = Field(default=[0.01], min_length=1)
    """Viscosities ν (the equation has ν/π), one data file each; PDEBench published 0.001 to 4."""

    @field_validator("nu")
    @classmethod
    def _distinct(cls, nu: list[float]) -> list[float]:
        return distinct(nu, "nu")

    @model_validator(mode="after")
    def _resolved(self) -> Burgers1dConfig:
        smallest = smallest_nu(BURGERS.dt * self.time_stride, self.native)
        if min(self.nu) < smallest:
            raise ValueError(
                f"nu {min(self.nu):g} is too small for time_stride {self.time_stride} on {self.native} "
                f"points; the smallest is {smallest:.2g}, smaller ones need a larger time_stride"
            )
        return self


class Burgers1d(PDEBenchTask):
    """Viscous Burgers flow on a periodic domain."""

    config: Burgers1dConfig
    family = BURGERS

    @property
    def values(self) -> tuple[Values, ...]:
        """Viscosities ν."""
        return tuple((nu,) for nu in self.config.nu)
