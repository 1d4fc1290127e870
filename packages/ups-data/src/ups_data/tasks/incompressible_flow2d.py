"""The task `incompressible_flow2d`: a driven flow that carries particles, PDEBench's NS_Incom."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from ups_data.info import Channel
from ups_data.sources.manifest import NS_INCOMPRESSIBLE
from ups_data.sources.request import DataFile
from ups_data.tasks.pdebench import EvolutionConfig, Family, PDEBenchTask, Values, distinct

INCOMPRESSIBLE_FLOW = Family(
    name="incompressible_flow2d",
    native=(512, 512),
    frames=1000,
    dt=0.005,
    channels=(
        Channel("force_x", "1", "coefficient", "force", (0,)),
        Channel("force_y", "1", "coefficient", "force", (1,)),
        Channel("velocity_x", "1", "state", "velocity", (0,)),
        Channel("velocity_y", "1", "state", "velocity", (1,)),
        Channel("particles", "1", "state"),
    ),
    domain=((0.0, 1.0), (0.0, 1.0)),
    boundary="dirichlet",
    parameters=(),
    folder="2D/NS_incom",
    pattern="ns_incom_inhom_2d_512-{}.h5",
    datafiles={},
    layout="pdebench_ns",
    equation="v_t + (v grad) v = -grad p + nu lap v + f c, div v = 0, c_t + (v grad) c = 0",
    symmetries=("reflection", "transpose"),
    trajectories=4,
    paired=False,
    caveat="24 pairs of the 274 official files have the same checksum; repeats across splits are left out",
)

Seed = Annotated[int, Field(ge=0)]


class IncompressibleFlow2dConfig(EvolutionConfig):
    """Flow at viscosity 0.01 in a closed box; raw frames are 0.005 apart on 512 x 512 points."""

    native: ClassVar[int] = 512
    raw_frames: ClassVar[int] = 1000
    seeds: list[Seed] = Field(default=[0], min_length=1)
    """Numbers of the files; PDEBench published 0 to 274 without 49, each with 4 trajectories."""
    trajectories: int = Field(default=4, ge=1)
    """Trajectories used from every file."""
    resolution: int = 64
    """Grid points along each axis; divides the 512 points of the native grid."""
    frames: int = Field(default=51, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=10, ge=1)
    """Raw frames of 0.005 from one frame to the next: 10 gives dt = 0.05."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        return distinct(seeds, "seeds")


class IncompressibleFlow2d(PDEBenchTask):
    """A flow that a constant force drives, with the density of the particles that it carries."""

    config: IncompressibleFlow2dConfig
    family = INCOMPRESSIBLE_FLOW

    @property
    def values(self) -> tuple[Values, ...]:
        """No file has a parameter."""
        return ((),) * len(self.config.seeds)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """One file for every seed."""
        return tuple(map(_file, self.config.seeds))

    @classmethod
    def published_files(cls) -> tuple[DataFile, ...]:
        """The official files of the manifest."""
        return tuple(map(_file, NS_INCOMPRESSIBLE))


def _file(seed: int) -> DataFile:
    family = INCOMPRESSIBLE_FLOW
    return DataFile(
        family.pattern.format(seed),
        folder=family.folder,
        datafile=NS_INCOMPRESSIBLE.get(seed),
        nbytes=family.official_bytes,
    )
