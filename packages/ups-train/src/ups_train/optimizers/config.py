"""Options of optimizers and learning-rate schedules, free of torch."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from ups_core import Config

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class AdamConfig(Config):
    """Adam (Kingma and Ba 2015), without weight decay; with it, use `adamw`."""

    lr: PositiveFloat = 1e-3
    """Peak learning rate."""
    betas: tuple[Share, Share] = (0.9, 0.99)
    """Decay rates of the moment estimates."""


class AdamWConfig(AdamConfig):
    """AdamW (Loshchilov and Hutter 2019)."""

    weight_decay: NonNegativeFloat = 1e-4
    """Decay of matrices and kernels; norms and biases never decay."""


class SGDConfig(Config):
    """Stochastic gradient descent with momentum."""

    lr: PositiveFloat = 1e-2
    """Peak learning rate."""
    momentum: Share = 0.9
    """Decay rate of the velocity."""
    nesterov: bool = True
    """Whether the gradient is taken one step ahead."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decay of matrices and kernels; norms and biases never decay."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> SGDConfig:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0; set nesterov to false")
        return self


class ParameterGroup(Config):
    """Parameters whose name `pattern` finds and that `optimizer` can update."""

    pattern: str
    """Regular expression, searched in a parameter's full name; `ups show optimizer muon_hybrid --spec SPEC`
    prints the names."""
    optimizer: Literal["muon", "adamw"]
    """`muon` takes real matrices with more than one row and column and leaves the rest to later groups."""
    lr: PositiveFloat | None = None
    """Peak learning rate; default: the optimizer's."""
    weight_decay: NonNegativeFloat | None = None
    """Decay; default: the optimizer's. Norms and biases never decay."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is no regular expression: {error}") from error
        return pattern


class MuonHybridConfig(AdamWConfig):
    """Muon (Jordan et al. 2024) for hidden matrices, AdamW for everything else, as one optimizer.

    Embeddings, first and last projections, norms, biases, kernels of convolutions and complex spectral
    weights are AdamW's.
    """

    explain: ClassVar[str | None] = "ups_train.optimizers.groups:explain"

    lr: PositiveFloat = 2e-3
    """Peak learning rate of all groups that name no other."""
    momentum: Share = 0.95
    """Muon's momentum (Nesterov)."""
    adjust_lr: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    """How Muon's step depends on a matrix's shape: its root mean square is AdamW's (Liu et al. 2025), so that
    both share one learning rate, or it is Jordan's sqrt(max(1, rows / columns))."""
    groups: Annotated[list[ParameterGroup], Field(min_length=1)] | None = None
    """Which optimizer updates which parameters: the first group that fits. A group that gets nothing, and a
    parameter in no group, are errors. Default: names with `lift`, `embed` or `head` to AdamW, other matrices
    to Muon, the rest to AdamW."""


class CosineConfig(Config):
    """Linear warm-up, then a cosine down to `final`; per optimizer step."""

    warmup: Share = 0.05
    """Share of all steps spent warming up."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """Last learning rate over the peak."""


class ConstantConfig(Config):
    """The learning rate stays; there are no options."""


class StepDecayConfig(Config):
    """The learning rate falls by a factor at equal intervals."""

    every: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Share of the training between two falls; 0.2 is PDEBench's 100 of 500 epochs."""
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Factor of every fall."""


class WSDConfig(Config):
    """Warm-up, stable, decay (Hu et al. 2024): a plateau that a longer training can go on from."""

    warmup: Share = 0.05
    """Share of the training spent warming up."""
    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Share of the training at its end over which the rate falls as 1 - sqrt (Hägele et al. 2024)."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Last learning rate over the peak."""

    @model_validator(mode="after")
    def _fits(self) -> WSDConfig:
        if self.warmup + self.decay > 1:
            raise ValueError(f"warmup {self.warmup:g} and decay {self.decay:g} are more than the training")
        return self


class OneCycleConfig(Config):
    """One cycle (Smith and Topin 2018) of the learning rate alone: a cosine up, a cosine down."""

    rise: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the training up to the peak."""
    initial: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    """First learning rate over the peak."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 4e-6
    """Last learning rate over the peak."""


class PlateauConfig(Config):
    """The learning rate falls when the validation rollout no longer improves."""

    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Factor of every fall."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Validations without improvement before a fall."""
    threshold: Share = 0.01
    """What counts as an improvement, relative to the best so far."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Smallest learning rate over the peak."""
