"""The task `diffusion_reaction2d`: FitzHugh-Nagumo in two dimensions, PDEBench's 2D_diff-react."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, PDEBenchTask, Values

DIFFUSION_REACTION = Family(
    name="diffusion_reaction2d",
    native=(128, 128),
    frames=101,
    dt=0.05,
    channels=(Channel("u", "1", "state"), Channel("v", "1", "state")),
    domain=((-1.0, 1.0), (-1.0, 1.0)),
    boundary="neumann",
    parameters=(),
    folder="2D/diffusion-reaction",
    pattern="2D_diff-react_NA_NA.h5",
    datafiles={(): 133017},
    layout="pdebench_groups",
    layout_options={"axes": "yx"},
    equation="u_t = Du lap u + u - u^3 - k - v, v_t = Dv lap v + u - v",
    symmetries=("reflection", "transpose"),
    generation=Generation("ups_data.generators.diffusion_reaction:generate", version=1, block=16),
    trajectories=1000,
    caveat="official files were solved with loose tolerances: about 1e-2 off the equation",
)


class DiffusionReaction2dConfig(EvolutionConfig):
    """Activator u and inhibitor v from white noise; raw frames are 0.05 apart on 128 x 128 points."""

    native: ClassVar[int] = 128
    raw_frames: ClassVar[int] = 101
    resolution: int = 64
    """Grid points along each axis; divides the 128 points of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.05 from one frame to the next: 5 gives dt = 0.25."""


class DiffusionReaction2d(PDEBenchTask):
    """FitzHugh-Nagumo without flux through the edges."""

    config: DiffusionReaction2dConfig
    family = DIFFUSION_REACTION

    @property
    def values(self) -> tuple[Values, ...]:
        """One file."""
        return ((),)
