"""Options of stages, losses, optimizers, schedules and trackers, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ups_core import Component, Config, Registered, StepConfig, default_component

PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Positive = Annotated[int, Field(ge=1)]


class LossConfig(Config):
    """Options that every loss has."""

    weight: NonNegativeFloat = 1.0
    """Factor in the sum of losses."""


class AdamWConfig(Config):
    """AdamW (Loshchilov and Hutter 2019)."""

    lr: PositiveFloat = 1e-3
    """Peak learning rate."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decay of matrices and kernels; norms and biases never decay."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.99)
    """Decay rates of the moment estimates."""


class MuonHybridConfig(AdamWConfig):
    """Muon (Jordan et al. 2024) for hidden matrices, AdamW for everything else, as one optimizer.

    Muon's update is scaled to AdamW's root mean square, so both share one learning rate.
    """

    lr: PositiveFloat = 2e-3
    """Peak learning rate of both parts."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Muon's momentum (Nesterov)."""
    exclude: list[str] = ["lift", "embed", "head"]
    """Matrices whose name has one of these parts go to AdamW: first and last projections."""


class CosineConfig(Config):
    """Linear warm-up, then a cosine down to `final`; per optimizer step."""

    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of all steps spent warming up."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """Last learning rate over the peak."""


class ConstantConfig(Config):
    """The learning rate stays; there are no options."""


class AutoStrategyConfig(Config):
    """One device needs no strategy; there are no options."""


class CSVConfig(Config):
    """`metrics.csv` beside the step's other files; there are no options."""


class WandbConfig(Config):
    """Weights and Biases; needs `pip install 'ups-train[wandb]'`."""

    project: str = "ups"
    """Project that the run belongs to."""
    entity: str | None = None
    """Team; default: the account's own."""
    tags: list[str] = []
    """Tags of the run."""
    mode: Literal["online", "offline"] = "offline"
    """`offline` writes below the step's directory; `wandb sync` uploads it later."""


class OperatorConfig(StepConfig):
    """Trains a simulator to advance (evolution) or solve (steady) every task of the spec."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[tuple[str, ...]] = ("simulator",)

    model: Annotated[Component, Registered("models")] | None = None
    """The network; default: the spec's `model`."""
    epochs: Positive = 20
    """Passes over the training windows."""
    max_steps: Positive | None = None
    """Optimizer steps after which training ends even within an epoch; the schedule ends there too."""
    batch_size: Positive = 32
    """Windows per batch; a batch has one task."""
    accumulate: Positive = 1
    """Batches per optimizer step."""
    unroll: Positive = 1
    """Steps that the model runs on its own output during training; the loss sees all of them."""
    losses: Annotated[list[Annotated[Component, Registered("losses")]], Field(min_length=1)] = Field(
        default=["nrmse"], validate_default=True
    )
    """Losses on normalised fields, added up with their weights."""
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("muon_hybrid")
    """Updates the weights."""
    scheduler: Annotated[Component, Registered("schedulers")] = default_component("cosine")
    """Learning rate over the steps."""
    clip: PositiveFloat | None = 1.0
    """Largest gradient norm; null for no clipping."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = 0.995
    """Decay of the weights' moving average, which is validated and saved; null for none."""
    validate_every: Positive | None = None
    """Batches between validations, about: they are spaced evenly and the last is at the end of training.
    Default: once an epoch."""
    validate_on: Positive | None = None
    """Validation trajectories per task; default: all."""
    patience: Positive | None = None
    """Validations without improvement before training stops early; null for never."""
    callbacks: list[Annotated[Component, Registered("callbacks")]] = []
    """Further Lightning callbacks, from plugins."""
    select: Literal["best", "last"] = "best"
    """Which validated weights are saved: those with the best rollout, or the last."""

    def check(self, tasks: Mapping[str, Mapping[str, Any]], model: Component) -> Sequence[tuple[str, str]]:
        """Unrolled windows must fit into the trajectories; the model must have weights."""
        problems = [
            ("unroll", f"{self.unroll} steps after {task['history']} given frames need "
                       f"{self.unroll + task['history']} frames; task '{name}' has {task['frames']}")
            for name, task in tasks.items()
            if task["kind"] == "evolution" and self.unroll + task["history"] > task["frames"]
        ]  # fmt: skip
        if not getattr(model.config, "trainable", True):
            problems.append(("model", f"'{model.kind}' has nothing to train"))
        return problems
