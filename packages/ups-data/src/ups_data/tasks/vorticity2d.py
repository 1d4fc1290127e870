"""The task `vorticity2d`: forced flow on the unit torus. Not of PDEBench: its data are generated only."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from ups_data.generators.spectral_limits import limit_of_vorticity
from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, FileParameter, PDEBenchTask, Values, distinct

VORTICITY = Family(
    name="vorticity2d",
    native=(64, 64),
    frames=51,
    dt=1.0,
    channels=(Channel("vorticity", "1", "state"),),
    domain=((0.0, 1.0), (0.0, 1.0)),
    boundary="periodic",
    parameters=(FileParameter("nu", "nu", "log"),),
    folder="",
    pattern="2D_NS_Vorticity_nu{}.hdf5",
    datafiles={},
    layout="pdebench_tensor",
    equation="w_t + (v grad) w = nu lap w + (sin(2 pi (x + y)) + cos(2 pi (x + y))) / 10, w = curl v",
    invariants=("mean",),
    generation=Generation("ups_data.generators.vorticity:generate", version=1, block=4),
)

Viscosity = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Vorticity2dConfig(EvolutionConfig):
    """Flow that a constant force drives, from random vorticity; raw frames are 1 apart on 64 x 64 points."""

    native: ClassVar[int] = 64
    raw_frames: ClassVar[int] = 51
    nu: list[Viscosity] = Field(default=[1e-3], min_length=1)
    """Viscosities ν, one data file each; Li et al. used 0.001, 0.0001 and 0.00001."""
    resolution: int = 64
    """Grid points along each axis; divides the 64 points of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=1, ge=1)
    """Raw frames of 1 from one frame to the next."""

    @field_validator("nu")
    @classmethod
    def _distinct(cls, nu: list[float]) -> list[float]:
        return distinct(nu, "nu")


class Vorticity2d(PDEBenchTask):
    """The vorticity of a driven incompressible flow on a periodic domain."""

    config: Vorticity2dConfig
    family = VORTICITY

    @property
    def values(self) -> tuple[Values, ...]:
        """Viscosities ν."""
        return tuple((nu,) for nu in self.config.nu)

    @property
    def generation(self) -> Generation:
        """See :class:`PDEBenchTask`; the smallest vortices must be resolved."""
        generation = self.family.generation
        assert generation is not None
        return replace(generation, limit=limit_of_vorticity(min(self.config.nu)))
