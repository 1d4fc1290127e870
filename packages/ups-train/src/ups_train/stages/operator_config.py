"""Options of the stage `operator`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeFloat

from ups_core import Component, ModelConfig, Registered
from ups_core.step_config import Issues
from ups_train.engine.config import Positive, TrainingConfig


class OperatorConfig(TrainingConfig):
    """Trains a simulator to advance (evolution) or solve (steady) every task of the spec."""

    produces: ClassVar[tuple[str, ...]] = ("simulator",)

    unroll: Positive = 1
    """Steps that the model runs on its own output with gradients; the loss sees all of them."""
    pushforward: Annotated[int, Field(ge=0)] = 0
    """Maximum number of gradient-free steps on the model's own output before the unrolled ones (Brandstetter
    et al. 2022, arXiv:2202.03376)."""
    curriculum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the training over which `unroll` and `pushforward` grow from 1 and 0 to their values."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise added to given frames, relative to that of the field."""
    augment: bool = True
    """Whether batches are shifted, mirrored or negated where the task declares that as a symmetry."""
    latent_unroll: Annotated[int, Field(ge=0)] = 0
    """Steps of a rollout inside the latent space (encode once, advance, decode) that the loss also sees."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the codec's losses: decoding what was encoded gives the field back, and encoding the next
    frame gives the advanced latent."""
    losses: Annotated[list[Annotated[Component, Registered("losses")]], Field(min_length=1)] = Field(
        default=["relative_l2"], validate_default=True
    )
    """Losses on normalised fields, added up with their weights."""

    @property
    def horizon(self) -> int:
        """The longest rollout that the loss sees."""
        return max(self.unroll + self.pushforward, self.latent_unroll)

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Also without losses of a latent space that the other model does not have."""
        assert isinstance(model.config, ModelConfig)
        latent = {} if model.config.latent else {"latent_unroll": 0, "consistency": 0.0}
        return super().for_baseline(model) | latent

    def check(self, tasks: Mapping[str, Any], model: Component) -> Issues:
        """Losses of a latent space need a model that has one."""
        assert isinstance(model.config, ModelConfig)
        problems = list(super().check(tasks, model))
        if not model.config.latent:
            problems += [
                (option, f"'{model.kind}' has no latent space; set it to 0")
                for option in ("latent_unroll", "consistency")
                if getattr(self, option)
            ]
        forced = next((name for name, task in tasks.items() if task.forcing_channels), None)
        if forced is not None and self.latent_unroll:
            problems.append(
                (
                    "latent_unroll",
                    f"task '{forced}' has a forcing, unseen by latent steps; set it to 0",
                )
            )
        return problems
