"""Options of optimizers and learning-rate schedules, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from ups_core import Component, Config, OptimizerConfig, Registered, SchedulerConfig
from ups_core.references import load_object
from ups_core.step_config import Issues
from ups_train.optimizers.name_patterns import name_matcher

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class AdamConfig(OptimizerConfig):
    """Adam (Kingma and Ba 2015), without weight decay; with it, use `adamw`."""

    lr: PositiveFloat = 1e-3
    """Peak learning rate."""
    betas: tuple[Share, Share] = (0.9, 0.99)
    """Decay rates of the moment estimates."""


class AdamWConfig(AdamConfig):
    """AdamW (Loshchilov and Hutter 2019)."""

    weight_decay: NonNegativeFloat = 1e-4
    """Decay of matrices and kernels; norms and biases never decay."""


class SGDConfig(OptimizerConfig):
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


class MuonConfig(OptimizerConfig):
    """Muon (Jordan et al. 2024): orthogonalised momentum; for real matrices only.

    Use it in a group of `grouped`, beside an optimizer for everything else.
    """

    whole_matrices: ClassVar[bool] = True

    lr: PositiveFloat = 2e-3
    """Peak learning rate."""
    momentum: Share = 0.95
    """Momentum (Nesterov)."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decay of the matrices."""
    adjust_lr: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    """How the step depends on a matrix's shape. `match_rms_adamw`: its root mean square is AdamW's (Liu et
    al. 2025, arXiv 2502.16982), so both share a learning rate. `original`: sqrt(max(1, rows / columns))."""

    def accepts(self, shape: Sequence[int], is_complex: bool) -> bool:
        """Real matrices with more than one row and column."""
        return len(shape) == 2 and min(shape) > 1 and not is_complex


class ParameterGroup(Config):
    """Parameters with a name that matches `pattern` and that `optimizer` accepts."""

    pattern: str
    """Regular expression, searched in a parameter's full name, without back-references;
    `ups show optimizer grouped --spec SPEC` prints the names."""
    optimizer: Annotated[Component, Registered("optimizers")]
    """Updates the group; `muon` leaves what is not a matrix to later groups."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        name_matcher(pattern)
        return pattern


class GroupedConfig(OptimizerConfig):
    """Several optimizers as one, each for a group of parameters.

    A parameter belongs to the first group with a matching pattern and an optimizer that accepts it. It is an
    error if there is none.
    """

    explain: ClassVar[str | None] = "ups_train.optimizers.explain:explain"
    whole_matrices: ClassVar[bool] = True

    groups: Annotated[list[ParameterGroup], Field(min_length=1)]
    """The groups, in order of precedence."""
    allow_empty: bool = False
    """Whether a group may get no parameters; true for baselines, which have other parameter names."""

    def for_other_model(self) -> OptimizerConfig:
        """The same groups, of which some may get nothing: the patterns name parameters of one model."""
        return self.model_copy(update={"allow_empty": True})

    def check(self, model: Any, tasks: Mapping[str, Any]) -> Issues:
        """The groups must fit the model, which has to be built to find out."""
        problems: Issues = load_object("ups_train.optimizers.groups:group_problems")(
            self.groups, model, tasks, self.allow_empty
        )
        return problems


class MuonHybridConfig(AdamWConfig):
    """Muon (Jordan et al. 2024) for hidden matrices, AdamW for everything else: a preset of `grouped`.

    Embeddings, first and last projections (names with `lift`, `embed` or `head`), norms, biases, kernels of
    convolutions and spectral weights are AdamW's.
    """

    explain: ClassVar[str | None] = "ups_train.optimizers.explain:explain"
    former_keys: ClassVar[Mapping[str, str]] = {"groups": "moved to the optimizer 'grouped' in 0.2"}
    whole_matrices: ClassVar[bool] = True

    lr: PositiveFloat = 2e-3
    """Peak learning rate of both."""
    momentum: Share = 0.95
    """Muon's momentum (Nesterov)."""
    adjust_lr: Literal["match_rms_adamw", "original"] = "match_rms_adamw"
    """How Muon's step depends on a matrix's shape: see the optimizer `muon`."""


class CosineConfig(SchedulerConfig):
    """Linear warm-up, then a cosine down to `final`; per optimizer step."""

    warmup: Share = 0.05
    """Share of all steps spent warming up."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """Last learning rate over the peak."""


class ConstantConfig(SchedulerConfig):
    """A constant learning rate, without options."""


class StepDecayConfig(SchedulerConfig):
    """The learning rate falls by a factor at equal intervals."""

    every: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Share of the training between two falls; 0.2 is PDEBench's 100 of 500 epochs."""
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Factor of every fall."""


class WSDConfig(SchedulerConfig):
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


class OneCycleConfig(SchedulerConfig):
    """One cycle (Smith and Topin 2018) of the learning rate alone: a cosine up, a cosine down."""

    rise: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the training up to the peak."""
    initial: Annotated[float, Field(gt=0.0, le=1.0)] = 0.04
    """First learning rate over the peak."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 4e-6
    """Last learning rate over the peak."""


class PlateauConfig(SchedulerConfig):
    """The learning rate falls when the validation rollout no longer improves."""

    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Factor of every fall."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Validations without improvement before a fall."""
    threshold: Share = 0.01
    """What counts as an improvement, relative to the best so far."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Smallest learning rate over the peak."""
