"""The task `shallow_water2d`: a radial dam break, of which the height is known, PDEBench's 2D_rdb."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, PDEBenchTask, Values

SHALLOW_WATER = Family(
    name="shallow_water2d",
    native=(128, 128),
    frames=101,
    dt=0.01,
    channels=(Channel("h", "1", "state", positive=True),),
    domain=((-2.5, 2.5), (-2.5, 2.5)),
    boundary="open",
    parameters=(),
    folder="2D/shallow-water",
    pattern="2D_rdb_NA_NA.h5",
    datafiles={(): 133021},
    layout="pdebench_groups",
    equation="h_t + div(h v) = 0, (h v)_t + div(h v v) + grad(g h^2 / 2) = 0",
    invariants=("mean",),
    symmetries=("reflection", "transpose"),
    generation=Generation("ups_data.generators.shallow_water:generate", version=1, block=16),
    trajectories=1000,
    caveat="official files have about 81 different initial states; repeats across splits are left out",
)


class ShallowWater2dConfig(EvolutionConfig):
    """Water that a breaking circular dam releases; raw frames are 0.01 apart on 128 x 128 points."""

    native: ClassVar[int] = 128
    raw_frames: ClassVar[int] = 101
    resolution: int = 64
    """Grid points along each axis; divides the 128 points of the native grid."""
    history: int = Field(default=2, ge=1)
    """Frames given to a model; two, because the file has the height but not the velocity."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=5, ge=1)
    """Raw frames of 0.01 from one frame to the next: 5 gives dt = 0.05."""


class ShallowWater2d(PDEBenchTask):
    """A radial dam break with open edges."""

    config: ShallowWater2dConfig
    family = SHALLOW_WATER

    @property
    def values(self) -> tuple[Values, ...]:
        """One file."""
        return ((),)
