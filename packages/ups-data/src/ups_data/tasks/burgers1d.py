"""The task `burgers1d`: u_t + (u²/2)_x = (ν/π) u_xx on the unit circle, PDEBench's 1D_Burgers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ups_data.generators.burgers_resolution import smallest_nu
from ups_data.info import Parameter, TaskInfo
from ups_data.stores.pdebench import Family
from ups_data.tasks.evolution1d import DT, FRAMES, POINTS, Evolution1d, Evolution1dConfig, distinct

BURGERS = Family(
    name="burgers1d",
    folder="1D/Burgers/Train",
    pattern="1D_Burgers_Sols_Nu{}.hdf5",
    parameter="Nu",
    native=(POINTS,),
    frames=FRAMES,
    dt=DT,
    solution="tensor",
    coefficient=None,
    generator="ups_data.generators.burgers:generate",
    version=2,
    datafiles={
        0.001: 268190,
        0.002: 268193,
        0.004: 268191,
        0.01: 281363,
        0.02: 268189,
        0.04: 281362,
        0.1: 268185,
        0.2: 268187,
        0.4: 268192,
        1.0: 281365,
        2.0: 281364,
        4.0: 268188,
    },
    caveat="official files are a finite-volume solution, about 1e-3 off the exact one at nu = 0.01",
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
        smallest = smallest_nu(DT * self.time_stride, POINTS)
        if min(self.nu) < smallest:
            raise ValueError(
                f"nu {min(self.nu):g} is too small for time_stride {self.time_stride} on {POINTS} points; "
                f"the smallest is {smallest:.2g}, smaller ones need a larger time_stride"
            )
        return self


class Burgers1d(Evolution1d):
    """Viscous Burgers flow on a periodic domain."""

    config: Burgers1dConfig
    family = BURGERS

    @property
    def values(self) -> tuple[float, ...]:
        """Viscosities ν."""
        return tuple(self.config.nu)

    @property
    def info(self) -> TaskInfo:
        """The problem."""
        return self.describe_as(
            Parameter("nu", "1", min(self.values), max(self.values), scale="log"),
            invariants=("mean",),
            symmetries=("translation", "odd_reflection"),
            equation="u_t + (u^2/2)_x = (nu/pi) u_xx",
        )
