"""The tasks `compressible_flow1d`, `2d` and `3d`: compressible Navier-Stokes, PDEBench's 1D_CFD to 3D_CFD."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ups_data.generators.compressible_resolution import too_viscous, unresolved
from ups_data.info import Channel
from ups_data.sources.request import DataFile, Generation
from ups_data.stores.striding import check_resolution
from ups_data.tasks.pdebench import EvolutionConfig, Family, FileParameter, PDEBenchTask, Values, distinct

EQUATION = (
    "rho_t + div(rho v) = 0, (rho v)_t + div(rho v v) = -grad p + div s, E_t + div((E + p) v - v s) = 0"
)
CAVEAT = "official files are about 1e-2 off the momentum equation; their last frame is the final state"
VISCOSITIES = (FileParameter("eta", "eta", "log"), FileParameter("zeta", "zeta", "log"))
NAMES = {"random": "Rand", "shock": "Shock", "turbulence": "Turb"}
INVISCID = 1e-8
"""Viscosity of the files that PDEBench calls inviscid."""


def computed(flow: str, block: int) -> Generation:
    """How the files of a family are computed, `block` trajectories at once."""
    return Generation(f"ups_data.generators.compressible:{flow}", version=1, block=block)


def channels(dim: int) -> tuple[Channel, ...]:
    """Density, pressure and the components of the velocity."""
    velocity = (Channel(f"V{'xyz'[axis]}", "1", "state", "V", (axis,)) for axis in range(dim))
    return (
        Channel("density", "1", "state", positive=True),
        Channel("pressure", "1", "state", positive=True),
        *velocity,
    )


FLOW_1D = Family(
    name="compressible_flow1d",
    native=(1024,),
    frames=101,
    dt=0.01,
    channels=channels(1),
    domain=((-1.0, 1.0),),
    boundary="periodic",
    parameters=VISCOSITIES,
    folder="1D/CFD/Train",
    pattern="1D_CFD_Rand_Eta{}_Zeta{}_periodic_Train.hdf5",
    datafiles={(0.01, 0.01): 164672, (0.1, 0.1): 164668, (INVISCID, INVISCID): 135485},
    layout="pdebench_fields",
    layout_options={"fields": ["density", "pressure", "Vx"]},
    equation=EQUATION,
    symmetries=("translation", "reflection"),
    spellings={INVISCID: "1.e-8"},
    caveat=CAVEAT,
    generation=computed("RANDOM_1D", 32),
)
OPEN_1D = replace(
    FLOW_1D,
    boundary="open",
    pattern="1D_CFD_Rand_Eta{}_Zeta{}_trans_Train.hdf5",
    datafiles={(INVISCID, INVISCID): 133155},
    symmetries=("reflection",),
    generation=computed("OPEN_1D", 32),
)
SHOCK_1D = replace(
    OPEN_1D,
    frames=81,
    dt=0.005,
    pattern="1D_CFD_Shock_Eta{}_Zeta{}_trans_Train.hdf5",
    datafiles={(INVISCID, INVISCID): 133156},
    generation=computed("SHOCK_1D", 32),
)
FLOW_2D = Family(
    name="compressible_flow2d",
    native=(128, 128),
    frames=21,
    dt=0.05,
    channels=channels(2),
    domain=((0.0, 1.0), (0.0, 1.0)),
    boundary="periodic",
    parameters=(FileParameter("M", "M", "log"), *VISCOSITIES),
    folder="2D/CFD/2D_Train_Rand",
    pattern="2D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_128_Train.hdf5",
    datafiles={
        (0.1, 0.01, 0.01): 164687,
        (0.1, 0.1, 0.1): 164688,
        (1.0, 0.01, 0.01): 164690,
        (1.0, 0.1, 0.1): 164691,
    },
    layout="pdebench_fields",
    layout_options={"fields": ["density", "pressure", "Vx", "Vy"]},
    equation=EQUATION,
    symmetries=("translation", "reflection", "transpose"),
    caveat=CAVEAT,
    generation=computed("RANDOM_2D", 4),
)
INVISCID_2D = replace(
    FLOW_2D,
    native=(512, 512),
    pattern="2D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_512_Train.hdf5",
    datafiles={(0.1, INVISCID, INVISCID): 164689, (1.0, INVISCID, INVISCID): 164692},
    trajectories=1000,
    generation=computed("INVISCID_2D", 2),
)
TURBULENCE_2D = replace(
    INVISCID_2D,
    folder="2D/CFD/2D_Train_Turb",
    pattern="2D_CFD_Turb_M{}_Eta{}_Zeta{}_periodic_512_Train.hdf5",
    datafiles={(0.1, INVISCID, INVISCID): 164685, (1.0, INVISCID, INVISCID): 164686},
    generation=computed("TURBULENCE_2D", 2),
)
FLOW_3D = Family(
    name="compressible_flow3d",
    native=(128, 128, 128),
    frames=21,
    dt=0.05,
    channels=channels(3),
    domain=((0.0, 1.0), (0.0, 1.0), (0.0, 1.0)),
    boundary="periodic",
    parameters=(FileParameter("M", "M", "log"), *VISCOSITIES),
    folder="3D/Train",
    pattern="3D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_Train.hdf5",
    datafiles={(1.0, INVISCID, INVISCID): 164693},
    layout="pdebench_fields",
    layout_options={"fields": ["density", "pressure", "Vx", "Vy", "Vz"]},
    equation=EQUATION,
    symmetries=("translation", "reflection", "transpose"),
    trajectories=100,
    caveat=CAVEAT,
    generation=computed("RANDOM_3D", 1),
)
TURBULENCE_3D = replace(
    FLOW_3D,
    native=(64, 64, 64),
    pattern="3D_CFD_Turb_M{}_Eta{}_Zeta{}_periodic_Train.hdf5",
    datafiles={(1.0, INVISCID, INVISCID): 164694},
    trajectories=600,
    generation=computed("TURBULENCE_3D", 2),
)

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FlowConfig(EvolutionConfig):
    """Options of every compressible flow."""

    eta: list[Positive] = Field(default=[0.1], min_length=1)
    """Shear viscosities, equal to the bulk viscosities ζ."""

    @field_validator("eta", "mach", check_fields=False)
    @classmethod
    def _distinct(cls, values: list[float]) -> list[float]:
        return distinct(values, "the parameter")


class CompressibleFlow1dConfig(FlowConfig):
    """Density, pressure and velocity on 1024 points; raw frames are 0.01 apart, 0.005 for shocks."""

    native: ClassVar[int] = 1024
    raw_frames: ClassVar[int] = 101
    initial: Literal["random", "shock"] = "random"
    """Initial states: random waves, or two constant states side by side (open ends, eta 1e-8)."""
    ends: Literal["periodic", "open"] = "periodic"
    """Ends of the domain; PDEBench published eta 0.01, 0.1 and 1e-8 with periodic ones, 1e-8 with open
    ones."""
    resolution: int = 256
    """Grid points; divides the 1024 points of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""
    time_stride: int = Field(default=4, ge=1)
    """Raw frames from one frame to the next."""

    @model_validator(mode="after")
    def _shocks(self) -> CompressibleFlow1dConfig:
        if self.initial == "shock" and self.ends == "periodic":
            raise ValueError("initial 'shock' has open ends; set ends to 'open'")
        last = (self.frames - 1) * self.time_stride
        if self.initial == "shock" and last >= SHOCK_1D.frames:
            raise ValueError(
                f"{self.frames} frames {self.time_stride} apart end at raw frame {last}, but the last one of "
                f"initial 'shock' is {SHOCK_1D.frames - 1}; use fewer frames or a smaller time_stride"
            )
        return self


class CompressibleFlow2dConfig(FlowConfig):
    """Density, pressure and velocity; raw frames are 0.05 apart on 128 x 128 points, or 512 x 512 (eta
    1e-8)."""

    native: ClassVar[int] = 512
    raw_frames: ClassVar[int] = 21
    initial: Literal["random", "turbulence"] = "random"
    """Initial states: random fields, or divergence-free turbulence (eta 1e-8)."""
    mach: list[Positive] = Field(default=[0.1], min_length=1)
    """Initial Mach numbers; PDEBench published 0.1 and 1. There is a file for every pair with eta."""
    resolution: int = 64
    """Grid points along each axis; divides those of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""

    @model_validator(mode="after")
    def _one_grid(self) -> CompressibleFlow2dConfig:
        inviscid = [eta <= INVISCID for eta in self.eta]
        if any(inviscid) and not all(inviscid):
            raise ValueError(
                f"eta {self.eta}: files of eta 1e-8 have 512 x 512 points, the others 128 x 128; use two "
                "tasks"
            )
        if self.initial == "turbulence" and not all(inviscid):
            raise ValueError("initial 'turbulence' has eta 1e-8; set eta to [1e-8]")
        check_resolution(self.resolution, 512 if all(inviscid) else 128)
        return self


class CompressibleFlow3dConfig(FlowConfig):
    """Density, pressure and velocity; raw frames are 0.05 apart on 128³ points (random) or 64³
    (turbulence)."""

    native: ClassVar[int] = 128
    raw_frames: ClassVar[int] = 21
    initial: Literal["random", "turbulence"] = "random"
    """Initial states: random fields, or divergence-free turbulence."""
    eta: list[Positive] = Field(default=[INVISCID], min_length=1)
    """Shear viscosities, equal to the bulk viscosities ζ; PDEBench published 1e-8."""
    mach: list[Positive] = Field(default=[1.0], min_length=1)
    """Initial Mach numbers; PDEBench published 1."""
    trajectories: int = Field(default=100, ge=10)
    """Trajectories used from every file; the random ones have 100, turbulence has 600."""
    resolution: int = 32
    """Grid points along each axis; divides those of the native grid."""
    frames: int = Field(default=21, ge=2)
    """Frames of a trajectory, including the given ones."""

    @model_validator(mode="after")
    def _grid(self) -> CompressibleFlow3dConfig:
        check_resolution(self.resolution, 64 if self.initial == "turbulence" else 128)
        return self


def _published(*families: Family) -> tuple[DataFile, ...]:
    return tuple(file for family in families for file in family.published_files)


class CompressibleFlow(PDEBenchTask):
    """Compressible flow in any dimension."""

    config: FlowConfig

    @property
    def generation(self) -> Generation | None:
        """See :class:`~ups_data.tasks.pdebench.PDEBenchTask`."""
        generation = self.family.generation
        return replace(generation, limit=self._limit) if generation else None

    @property
    def _limit(self) -> str:
        """Why the flows cannot be computed accurately, or ""."""
        return too_viscous(self.config.eta)


class CompressibleFlow1d(CompressibleFlow):
    """Compressible flow along a line."""

    config: CompressibleFlow1dConfig

    @classmethod
    def published_files(cls) -> tuple[DataFile, ...]:
        """All official files, whatever the initial states."""
        return _published(FLOW_1D, OPEN_1D, SHOCK_1D)

    @property
    def family(self) -> Family:
        """The files of the initial states and ends."""
        if self.config.initial == "shock":
            return SHOCK_1D
        return FLOW_1D if self.config.ends == "periodic" else OPEN_1D

    @property
    def values(self) -> tuple[Values, ...]:
        """Shear and bulk viscosity."""
        return tuple((eta, eta) for eta in self.config.eta)


class CompressibleFlow2d(CompressibleFlow):
    """Compressible flow on a periodic square."""

    config: CompressibleFlow2dConfig

    @classmethod
    def published_files(cls) -> tuple[DataFile, ...]:
        """All official files, whatever the initial states."""
        return _published(FLOW_2D, INVISCID_2D, TURBULENCE_2D)

    @property
    def family(self) -> Family:
        """The files of the initial states and viscosities."""
        if self.config.initial == "turbulence":
            return TURBULENCE_2D
        return INVISCID_2D if self.config.eta[0] <= INVISCID else FLOW_2D

    @property
    def values(self) -> tuple[Values, ...]:
        """Mach number, shear and bulk viscosity."""
        return tuple((mach, eta, eta) for mach, eta in product(self.config.mach, self.config.eta))

    @property
    def _limit(self) -> str:
        return unresolved(self.config.eta, self.config.mach, self.family.native[0])


class CompressibleFlow3d(CompressibleFlow):
    """Compressible flow in a periodic cube."""

    config: CompressibleFlow3dConfig

    @classmethod
    def published_files(cls) -> tuple[DataFile, ...]:
        """All official files, whatever the initial states."""
        return _published(FLOW_3D, TURBULENCE_3D)

    @property
    def family(self) -> Family:
        """The files of the initial states."""
        return TURBULENCE_3D if self.config.initial == "turbulence" else FLOW_3D

    @property
    def values(self) -> tuple[Values, ...]:
        """Mach number, shear and bulk viscosity."""
        return tuple((mach, eta, eta) for mach, eta in product(self.config.mach, self.config.eta))

    @property
    def _limit(self) -> str:
        return unresolved(self.config.eta, self.config.mach, self.family.native[0])
