"""Options of the stages `diffusion_residual` and `consistency_distillation`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ups_core import Config, StageConfig
from ups_core.step_config import Issues, StepConfig
from ups_models.bundle_config import Form
from ups_models.residual.config import Flow, SamplerConfig
from ups_train.engine.config import Positive, TrainingConfig
from ups_train.engine.init_config import other_normaliser


class ResidualConfig(TrainingConfig):
    """Trains a flow-matching model of a frozen operator's residual, one network for all tasks of the spec."""

    consumes: ClassVar[tuple[str, ...]] = ("operator",)
    produces: ClassVar[tuple[str, ...]] = ("simulator", "flow")
    form: ClassVar[Form] = "corrector"

    flow: Flow = "rectified"
    """Parametrisation: rectified flow, or `edm` (Karras et al., arXiv 2206.00364)."""
    sampler: SamplerConfig = SamplerConfig()
    """Sampler of the trained simulator and of validation."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    members: Annotated[int, Field(ge=2)] = 8
    """Members per validation trajectory."""

    @property
    def samples(self) -> bool:
        """True."""
        return True

    @property
    def correlates_frames(self) -> tuple[str, str] | None:
        """A correction of every so many frames."""
        return (f"sampler.every: {self.sampler.every}", "1") if self.sampler.every > 1 else None

    @property
    def monitor(self) -> str:
        """The energy score of the members."""
        return "val/energy_score"

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Issues:
        """Weights that know other normalisers than the operator."""
        return _normaliser_problems(self, inputs.get("operator"))


class JumpsConfig(Config):
    """How a student samples."""

    kind: Literal["jumps"] = "jumps"
    """Students sample by jumps only."""
    steps: Positive = 1
    """Number of jumps from noise to the residual."""
    every: Positive = 1
    """Correct every so many frames of a rollout."""


class DistillationConfig(TrainingConfig):
    """Trains a student that samples a flow's residuals in one or two evaluations."""

    consumes: ClassVar[tuple[str, ...]] = ("flow",)
    produces: ClassVar[tuple[str, ...]] = ("simulator", "student")
    form: ClassVar[Form] = "corrector"

    sampler: JumpsConfig = JumpsConfig()
    """Sampler of the trained simulator and of validation."""
    grid: Annotated[int, Field(ge=2)] = 16
    """Number of teacher steps between noise and residual."""
    direct: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of training jumps that end at the residual; the others end at a random grid time."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    members: Annotated[int, Field(ge=2)] = 8
    """Members per validation trajectory."""

    @property
    def samples(self) -> bool:
        """True."""
        return True

    @property
    def correlates_frames(self) -> tuple[str, str] | None:
        """A correction of every so many frames."""
        return (f"sampler.every: {self.sampler.every}", "1") if self.sampler.every > 1 else None

    @property
    def monitor(self) -> str:
        """The energy score of the members."""
        return "val/energy_score"

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Issues:
        """A student of another network than its teacher, or weights that know other normalisers."""
        teacher = inputs.get("flow")
        problems = list(_normaliser_problems(self, teacher))
        if isinstance(teacher, StageConfig) and teacher.model != self.model:
            problem = "the teacher is not this network with these options; give both stages the same 'model'"
            problems.append(("model", problem))
        return problems


def _normaliser_problems(config: TrainingConfig, source: StepConfig | None) -> Issues:
    """Where a stage and its teacher start from saved models with different normalisers."""
    if not isinstance(source, TrainingConfig) or config.init is None or source.init is None:
        return []
    if config.init.bundle is None or source.init.bundle is None:
        return []
    problem = other_normaliser(Path(config.init.bundle), Path(source.init.bundle))
    return [] if problem is None else [("init.bundle", problem)]
