"""The task `kuramoto_sivashinsky1d`: chaos in one dimension. Not of PDEBench: its data are generated only."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import EvolutionConfig, Family, PDEBenchTask, Values

KURAMOTO_SIVASHINSKY = Family(
    name="kuramoto_sivashinsky1d",
    native=(256,),
    frames=201,
    dt=0.5,
    channels=(Channel("u", "1", "state"),),
    domain=((0.0, 64.0),),
    boundary="periodic",
    parameters=(),
    folder="",
    pattern="1D_KuramotoSivashinsky.hdf5",
    datafiles={},
    layout="pdebench_tensor",
    equation="u_t + u u_x + u_xx + u_xxxx = 0",
    invariants=("mean",),
    symmetries=("translation", "odd_reflection"),
    generation=Generation("ups_data.generators.kuramoto_sivashinsky:generate", version=1),
)


class KuramotoSivashinsky1dConfig(EvolutionConfig):
    """Kuramoto-Sivashinsky flow from random low waves; raw frames are 0.5 apart on 256 points."""

    native: ClassVar[int] = 256
    raw_frames: ClassVar[int] = 201
    resolution: int = 128
    """Grid points; divides the 256 points of the native grid."""
    frames: int = Field(default=41, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=2, ge=1)
    """Raw frames of 0.5 from one frame to the next: 2 gives dt = 1."""


class KuramotoSivashinsky1d(PDEBenchTask):
    """Kuramoto-Sivashinsky flow on a periodic domain."""

    config: KuramotoSivashinsky1dConfig
    family = KURAMOTO_SIVASHINSKY

    @property
    def values(self) -> tuple[Values, ...]:
        """One file."""
        return ((),)
