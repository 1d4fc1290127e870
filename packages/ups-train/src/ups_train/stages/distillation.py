"""The stage `consistency_distillation`: distils a flow into a student that samples in one or two evaluations.

Discrete flow-map distillation: one network predicts the mean velocity of a jump from any time to any earlier
one, so the same weights serve one, two or n jumps. Its target is one Heun step of the teacher followed by a
jump of the student's moving average (of its current weights if the training has no average), as in
consistency models (Song et al., arXiv 2303.01469) and consistency trajectory models (Kim et al., arXiv
2310.02279). For the shortest jumps the target is the teacher's step alone, which rules out the collapsed
solution. Training uses plain forward passes only, so several ranks, compilation and mixed precision work as
for any objective."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_models.bundle import load_bundle
from ups_models.residual.config import SamplerConfig
from ups_models.residual.corrector import Corrector
from ups_models.residual.flow import Velocity, difference, interpolate
from ups_models.residual.simulator import CorrectedSimulator
from ups_train.engine.objective import ARTIFACT, ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.stages.corrector_objective import CorrectorObjective
from ups_train.stages.residual import ResidualStart, residual_start
from ups_train.stages.residual_config import DistillationConfig

SOFTNESS = 1e-2
"""Width of the quadratic region of the pseudo-Huber loss."""


class DistillationObjective(CorrectorObjective):
    """Pseudo-Huber distance between a jump and a teacher step followed by the rest of the jump.

    Args:
        config: options of the stage.
        inputs: data, and the teacher among the artifacts; the student has the teacher's architecture.
    """

    def __init__(self, config: DistillationConfig, inputs: ObjectiveInputs) -> None:
        source = inputs.artifacts["flow"] / ARTIFACT
        teacher = load_bundle(source)
        if not isinstance(teacher, CorrectedSimulator):
            raise UPSError(f"{source} has no flow; name a step of diffusion_residual in 'needs'")
        student = Corrector(inputs.model, inputs.tasks, teacher.corrector.flow)
        try:
            student.load_state_dict(teacher.corrector.state_dict())
        except RuntimeError:
            raise UPSError(
                f"the teacher's model is not '{inputs.model.kind}' with these options; "
                "give both stages the same 'model'"
            ) from None
        teacher.requires_grad_(False)
        sampler = SamplerConfig.model_validate(config.sampler.model_dump())
        super().__init__(CorrectedSimulator(teacher, student, sampler), source, inputs, config.members)
        self.config = config
        self.teacher = teacher
        self._target: Callable[[], nn.Module] = lambda: self.network

    def use_average(self, average: nn.Module) -> None:
        """Use the student's moving average for the second part of the target."""
        self._target = lambda: average  # a function, so that it does not become a submodule

    def initialise(self) -> None:
        """Nothing to fit: the student starts with the teacher's weights."""

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """Mean over windows of the distance for one random jump each."""
        start = residual_start(self.simulator, batch, self.config.augment, seed)
        grid = self.config.grid
        draws = [torch.special.ndtr(start.streams.normal(())) for _ in range(3)]
        time = (draws[0] * grid).floor().clamp(0, grid - 1).add(1) / grid
        before = time - 1 / grid
        # Jumps end on the grid between 0 and `before`; a share `direct` of them at 0.
        end = (draws[1] * (before * grid + 1)).floor().minimum((before * grid).round()) / grid
        end = torch.where(draws[2] < self.config.direct, 0.0, end)
        z = interpolate(start.residual, start.noise, time)
        with torch.no_grad():
            first = difference(_velocity(self.teacher.corrector, start), z, time, before, "heun")
            second = difference(_velocity(self._target(), start), z - first, before, end, "jumps")
        # Differences, not end points: end points are much larger and would lose digits.
        jump = difference(_velocity(self.network, start), z, time, end, "jumps")
        distance = (jump - first - second).square().flatten(1).mean(dim=1)
        # Equals sqrt(d + c²) - c without cancellation for small d.
        loss: Tensor = (distance / ((distance + SOFTNESS**2).sqrt() + SOFTNESS)).mean()
        return loss


def _velocity(corrector: nn.Module, start: ResidualStart) -> Velocity:
    def velocity(z: Tensor, time: Tensor, jump: Tensor) -> Tensor:
        found: Tensor = corrector(start.x, start.predicted, z, time, jump)
        return found

    return velocity


consistency_distillation = training_stage(DistillationObjective)
"""Factory of the stage."""
