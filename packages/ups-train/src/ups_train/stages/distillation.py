"""The stage `consistency_distillation`: a student that jumps where the teacher's flow takes many steps.

Discrete distillation of the flow map: one network gives the mean velocity from any time to any earlier one,
so that the same weights serve one, two or n jumps. A jump must end where one short step of the teacher (Heun)
and a jump of the student from there end, as in consistency training (Song et al., "Consistency Models", arXiv
2303.01469) and consistency trajectory models (Kim et al., arXiv 2310.02279); for the shortest jumps the
teacher alone is the target, without which all jumps could agree on nothing. The second jump is that of the
weights' moving average, if the training has one, as in consistency models. Everything is a plain forward
pass, so ranks, compilation and mixed precision work as elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_models.bundle import load_bundle
from ups_models.residual.config import SamplerConfig
from ups_models.residual.corrector import Corrector
from ups_models.residual.flow import Velocity, difference, on_the_way
from ups_models.residual.simulator import CorrectedSimulator
from ups_train.engine.objective import ARTIFACT, ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.stages.corrector_objective import CorrectorObjective
from ups_train.stages.residual import ResidualStart, residual_start
from ups_train.stages.residual_config import DistillationConfig

SOFTNESS = 1e-2
"""Error below which the loss is quadratic, above it is linear: pseudo-Huber."""


class DistillationObjective(CorrectorObjective):
    """The distance between a jump's end and that of a short step of the teacher followed by a jump.

    Args:
        config: of the stage.
        inputs: the data, and the teacher among the artifacts; the student is of the teacher's model.
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
        """The student's moving average makes the second jump of the target."""
        self._target = lambda: average  # in a function, so that it is not a submodule

    def initialise(self) -> None:
        """Nothing: the student starts as its teacher."""

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """The mean distance of a jump for every window, from a time to an earlier one, both drawn."""
        start = residual_start(self.simulator, batch, self.config.augment, seed)
        grid = self.config.grid
        draws = [torch.special.ndtr(start.streams.normal(())) for _ in range(3)]
        time = (draws[0] * grid).floor().clamp(0, grid - 1).add(1) / grid
        before = time - 1 / grid
        # Ends of jumps lie on the grid from 0 to `before`; a share of them is 0.
        end = (draws[1] * (before * grid + 1)).floor().minimum((before * grid).round()) / grid
        end = torch.where(draws[2] < self.config.direct, 0.0, end)
        z = on_the_way(start.residual, start.noise, time)
        with torch.no_grad():
            first = difference(_velocity(self.teacher.corrector, start), z, time, before, "heun")
            second = difference(_velocity(self._target(), start), z - first, before, end, "jumps")
        # Not between the ends, which are much larger than what they differ by.
        jump = difference(_velocity(self.network, start), z, time, end, "jumps")
        distance = (jump - first - second).square().flatten(1).mean(dim=1)
        # sqrt(d + c²) - c, without the difference of two almost equal numbers.
        loss: Tensor = (distance / ((distance + SOFTNESS**2).sqrt() + SOFTNESS)).mean()
        return loss


def _velocity(corrector: nn.Module, start: ResidualStart) -> Velocity:
    def velocity(z: Tensor, time: Tensor, jump: Tensor) -> Tensor:
        found: Tensor = corrector(start.x, start.predicted, z, time, jump)
        return found

    return velocity


consistency_distillation = training_stage(DistillationObjective)
"""Factory of the stage."""
