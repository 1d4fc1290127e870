"""The task `burgers1d`: u_t + (u²/2)_x = (ν/π) u_xx on the unit circle, PDEBench's 1D_Burgers."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ups_data.info import Parameter, TaskInfo
from ups_data.stores.pdebench import Family
from ups_data.tasks.evolution1d import DT, FRAMES, POINTS, LineConfig, LineTask, distinct

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
        0.001: 268190, 0.002: 268193, 0.004: 268191, 0.01: 281363, 0.02: 268189, 0.04: 281362,
        0.1: 268185, 0.2: 268187, 0.4: 268192, 1.0: 281365, 2.0: 281364, 4.0: 268188,
    },
    caveat="official files are a finite-volume solution, about 1e-3 off the exact one at nu = 0.01",
)  # fmt: skip

Viscosity = Annotated[float, Field(gt=0, allow_inf_nan=False)]

FINER = 8
"""Refinement of the native grid for the initial potential."""
RESOLVED = 1.2
"""Cells of the narrowest Gaussian's deviation: the trapezoid sum is then off by 2 exp(-28) at most."""
STEEPEST_WAVE = 250.0
"""Bound of u_x of the initial waves: 200 from a window's edge, 0.01 wide, and 50 from the waves."""


def smallest_nu(step: float) -> float:
    """The smallest ν whose solution the generator can evaluate exactly at frames `step` apart.

    `RESOLVED` cells are the least for √(vD), and fine ones for √(2v / (1/D + max u_x)) in the first step.
    """
    cell = RESOLVED / POINTS
    return math.pi * max(cell**2 / step, (cell / FINER) ** 2 * (1 / step + STEEPEST_WAVE) / 2)


class Burgers1dConfig(LineConfig):
    """Viscous Burgers flow of PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    nu: list[Viscosity] = Field(default=[0.01], min_length=1)
    """Viscosities ν (the equation has ν/π), one data file each; PDEBench published 0.001 to 4."""

    @field_validator("nu")
    @classmethod
    def _distinct(cls, nu: list[float]) -> list[float]:
        return distinct(nu, "nu")

    @model_validator(mode="after")
    def _resolved(self) -> Burgers1dConfig:
        least = smallest_nu(DT * self.time_stride)
        if min(self.nu) < least:
            raise ValueError(
                f"nu {min(self.nu):g} is too small for time_stride {self.time_stride} on {POINTS} points; "
                f"the smallest is {least:.2g}, smaller ones need a larger time_stride"
            )
        return self


class Burgers1d(LineTask):
    """Viscous Burgers flow with periodic ends."""

    config: Burgers1dConfig
    family = BURGERS

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(self.config.nu)

    @property
    def info(self) -> TaskInfo:
        return self.describe_as(
            Parameter("nu", "1", min(self.values), max(self.values), scale="log"),
            invariants=("mean",),
            symmetries=("translation", "odd_reflection"),
            equation="u_t + (u^2/2)_x = (nu/pi) u_xx",
        )
