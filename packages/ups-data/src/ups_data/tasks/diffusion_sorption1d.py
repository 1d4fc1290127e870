"""The task `diffusion_sorption1d`: u_t = (D / R(u)) u_xx, PDEBench's 1D_diff-sorp."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, PDEBenchTask, Values

DIFFUSION_SORPTION = Family(
    name="diffusion_sorption1d",
    native=(1024,),
    frames=101,
    dt=5.0,
    channels=(Channel("u", "1", "state", positive=True),),
    domain=((0.0, 1.0),),
    boundary=(("dirichlet", "neumann"),),
    parameters=(),
    folder="1D/diffusion-sorption",
    pattern="1D_diff-sorp_NA_NA.h5",
    datafiles={(): 133020},
    layout="pdebench_groups",
    equation="u_t = D / R(u) u_xx, u = 1 at x = 0, u = -D u_x at x = 1",
    generation=Generation("ups_data.generators.diffusion_sorption:generate", version=1, block=16),
    caveat="the initial states are constants, so all solutions depend on one number",
)


class DiffusionSorption1dConfig(EvolutionConfig):
    """Diffusion of a substance that a soil binds; raw frames are 5 apart, up to t = 500, on 1024 points."""

    native: ClassVar[int] = 1024
    raw_frames: ClassVar[int] = 101
    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 5 from one frame to the next: 5 gives dt = 25."""


class DiffusionSorption1d(PDEBenchTask):
    """Diffusion with sorption between a source and an outflow."""

    config: DiffusionSorption1dConfig
    family = DIFFUSION_SORPTION

    @property
    def values(self) -> tuple[Values, ...]:
        """One file."""
        return ((),)
