"""Options of the stages `diffusion_residual` and `consistency_distillation`, free of torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ups_core import Config
from ups_models.residual.config import Flow, SamplerConfig
from ups_train.engine.config import Positive, TrainingConfig


class ResidualConfig(TrainingConfig):
    """Trains a flow that samples what an operator's predictions lack: one network for every task of the
    spec. The operator stays as it is."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("simulator", "flow")

    flow: Flow = "rectified"
    """How the flow is learned: `rectified`, or as the diffusion `edm` is."""
    sampler: SamplerConfig = SamplerConfig()
    """How the trained simulator samples."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    members: Annotated[int, Field(ge=2)] = 8
    """Members per validation trajectory."""

    @property
    def monitor(self) -> str:
        """The energy score of the members."""
        return "val/energy_score"


class JumpsConfig(Config):
    """How a student samples."""

    kind: Literal["jumps"] = "jumps"
    """A student knows jumps alone."""
    steps: Positive = 1
    """Jumps from noise to a residual."""
    every: Positive = 1
    """Frames of a rollout from one correction to the next."""


class DistillationConfig(TrainingConfig):
    """Trains a student that samples a flow's residuals in one or two evaluations."""

    consumes: ClassVar[tuple[str, ...]] = ("flow",)
    produces: ClassVar[tuple[str, ...]] = ("simulator",)

    sampler: JumpsConfig = JumpsConfig()
    """How the trained simulator samples."""
    grid: Annotated[int, Field(ge=2)] = 16
    """Times between noise and residual that the teacher steps between."""
    direct: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the jumps that go to the residual; the others end anywhere before."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    members: Annotated[int, Field(ge=2)] = 8
    """Members per validation trajectory."""

    @property
    def monitor(self) -> str:
        """The energy score of the members."""
        return "val/energy_score"
