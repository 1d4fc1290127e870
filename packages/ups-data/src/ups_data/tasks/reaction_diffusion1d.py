"""The task `reaction_diffusion1d`: u_t = ν u_xx + ρ u (1 - u), periodic, PDEBench's 1D_ReacDiff."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from ups_data.generators.spectral_limits import limit_of_reaction_diffusion
from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, FileParameter, PDEBenchTask, Values, distinct

REACTION_DIFFUSION = Family(
    name="reaction_diffusion1d",
    native=(1024,),
    frames=101,
    dt=0.01,
    channels=(Channel("u", "1", "state", positive=True),),
    domain=((0.0, 1.0),),
    boundary="periodic",
    parameters=(FileParameter("nu", "Nu", "log"), FileParameter("rho", "rho", "log")),
    folder="1D/ReactionDiffusion/Train",
    pattern="ReacDiff_Nu{}_Rho{}.hdf5",
    # DaRUS numbers follow the names in alphabetical order, in which 10.0 precedes 2.0.
    datafiles={
        values: 133177 + number
        for number, values in enumerate(product((0.5, 1.0, 2.0, 5.0), (1.0, 10.0, 2.0, 5.0)))
    },
    layout="pdebench_tensor",
    equation="u_t = nu u_xx + rho u (1 - u)",
    symmetries=("translation", "reflection"),
    generation=Generation("ups_data.generators.reaction_diffusion:generate", version=1),
    caveat="the reaction is missing in official files: fields are constant from about t = 0.1",
)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ReactionDiffusion1dConfig(EvolutionConfig):
    """Fisher's equation from PDEBench's random waves; raw frames are 0.01 apart on 1024 points."""

    native: ClassVar[int] = 1024
    raw_frames: ClassVar[int] = 101
    nu: list[Positive] = Field(default=[0.5], min_length=1)
    """Diffusivities ν; PDEBench published 0.5, 1, 2 and 5, each with every ρ."""
    rho: list[Positive] = Field(default=[1.0], min_length=1)
    """Reaction rates ρ; PDEBench published 1, 2, 5 and 10. There is a file for every pair."""
    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 from one frame to the next: 5 gives dt = 0.05."""

    @field_validator("nu", "rho")
    @classmethod
    def _distinct(cls, values: list[float]) -> list[float]:
        return distinct(values, "the parameter")


class ReactionDiffusion1d(PDEBenchTask):
    """Diffusion and logistic reaction on a periodic domain."""

    config: ReactionDiffusion1dConfig
    family = REACTION_DIFFUSION

    @property
    def values(self) -> tuple[Values, ...]:
        """Every pair of diffusivity and reaction rate."""
        return tuple(product(self.config.nu, self.config.rho))

    @property
    def generation(self) -> Generation:
        """See :class:`PDEBenchTask`; fronts must be resolved."""
        generation = self.family.generation
        assert generation is not None
        limits = (limit_of_reaction_diffusion(nu, rho) for nu, rho in self.values)
        return replace(generation, limit=next(filter(None, limits), ""))
