"""Options of training stages, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from ups_core import Component, Config, Registered, StepConfig, UPSError, default_component
from ups_core.spec import PipelineSpec
from ups_train.optimizers.config import MuonHybridConfig

Positive = Annotated[int, Field(ge=1)]
GPU_PRECISIONS = ("16-mixed", "tf32")


class CompileConfig(Config):
    """torch.compile."""

    mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    """How long to search for fast code; `reduce-overhead` uses CUDA graphs."""
    policy: Literal["allow", "require"] = "allow"
    """What happens where the network cannot be compiled: it trains as it is, with a line that says so, or the
    step fails."""


class CheckpointsConfig(Config):
    """When a training is saved, beside after every validation, and what is kept."""

    keep: Annotated[int, Field(ge=1)] = 2
    """Newest checkpoints that stay; the best always does."""
    every: PositiveFloat | None = 600.0
    """Most seconds between two; null for validations only."""
    asynchronous: bool = False
    """Whether they are written in a thread while training goes on; takes their size in memory."""


class SpikesConfig(Config):
    """What to do about a loss that is suddenly much larger than before (a bad batch, a rate too high).

    A spike is a loss above `factor` times the median of the task's last `window` losses.
    """

    policy: Literal["off", "skip", "rollback", "stop"] = "off"
    """`skip`: without an update from that batch; `rollback`: back to the last checkpoint, then without that
    batch; `stop`: the step fails before the update."""
    factor: Annotated[float, Field(gt=1.0)] = 10.0
    """How many times the median is too much."""
    window: Annotated[int, Field(ge=5)] = 50
    """Losses of a task that its median is taken from; none is a spike before there are so many."""
    most: Annotated[int, Field(ge=1)] = 5
    """Spikes in one training; with the next one the step fails."""


class OperatorConfig(StepConfig):
    """Trains a simulator to advance (evolution) or solve (steady) every task of the spec."""

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[tuple[str, ...]] = ("simulator",)
    distributed: ClassVar[bool] = True

    model: Annotated[Component, Registered("models")] | None = None
    """The network; default: the spec's `model`."""
    epochs: Positive | None = None
    """Passes over the training windows; default: 20, where no `budget` says otherwise."""
    max_steps: Positive | None = None
    """Optimizer steps after which training ends even within an epoch; the schedule ends there too."""
    budget: PositiveFloat | None = None
    """Seconds of training steps after which training ends, validations not counted; schedule and curriculum
    follow the clock, so the result depends on the machine. Default: no limit."""
    batch_size: Positive = 32
    """Windows per batch and device; a batch has one task."""
    accumulate: Positive = 1
    """Batches per optimizer step."""
    unroll: Positive = 1
    """Steps that the model runs on its own output with gradients; the loss sees all of them."""
    pushforward: Annotated[int, Field(ge=0)] = 0
    """Most steps that it runs on its own output before those, without gradients (Brandstetter 2022)."""
    curriculum: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the training over which `unroll` and `pushforward` grow from 1 and 0 to their values."""
    noise: NonNegativeFloat = 0.0
    """Deviation of the noise added to given frames, over the deviation of the field."""
    augment: bool = True
    """Whether batches are moved, mirrored or negated where the task declares that as a symmetry."""
    latent_unroll: Annotated[int, Field(ge=0)] = 0
    """Steps of a rollout inside the latent space (encode once, advance, decode) that the loss also sees."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the codec's losses: decoding what was encoded gives the field back, and encoding the next
    frame gives the advanced latent."""
    task_weights: dict[str, PositiveFloat] = {}
    """Factors of single tasks' losses; default: 1."""
    measure_conflict: bool = False
    """Whether `metrics.jsonl` tells how far the tasks' gradients agree: the mean cosine between gradients of
    successive batches of two tasks, over the weights that both use."""
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
    Default: once an epoch; with a `budget` ten in all."""
    validate_on: Positive | None = None
    """Validation trajectories per task; default: all."""
    patience: Positive | None = None
    """Validations without improvement before training stops early; null for never."""
    compile: CompileConfig | None = None
    """torch.compile of the network; null for none."""
    recompute: bool = False
    """Whether blocks keep only their input and compute the rest again in the backward pass: less memory for
    about a third more time."""
    offload: bool = False
    """Whether the optimizer and its state live in the host's memory, which costs a copy of gradients and
    weights a step; needs a GPU."""
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    """How often training is saved."""
    spikes: SpikesConfig = SpikesConfig()
    """What to do about sudden large losses. One that is not finite always ends the step before the update."""
    callbacks: list[Annotated[Component, Registered("callbacks")]] = []
    """Further Lightning callbacks, from plugins."""
    select: Literal["best", "last"] = "best"
    """Which validated weights are saved: those with the best rollout, or the last."""

    @model_validator(mode="after")
    def _one_length(self) -> OperatorConfig:
        if self.budget is not None:
            for name in ("epochs", "max_steps", "validate_every"):
                if getattr(self, name) is not None:
                    raise ValueError(f"budget and {name} exclude each other: set one of them")
        return self

    @model_validator(mode="after")
    def _gradients_of_one_batch(self) -> OperatorConfig:
        if self.measure_conflict and self.accumulate > 1:
            raise ValueError("measure_conflict compares gradients of single batches; set accumulate to 1")
        return self

    @property
    def horizon(self) -> int:
        """Frames after the given ones that a training window needs."""
        return max(self.unroll + self.pushforward, self.latent_unroll)

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Without what belongs to the other model: losses of a latent space, groups of parameters."""
        changes = super().for_baseline(model)
        if not getattr(model.config, "latent", False):
            changes |= {"latent_unroll": 0, "consistency": 0.0}
        if isinstance(self.optimizer.config, MuonHybridConfig):
            by_role = self.optimizer.config.model_copy(update={"groups": None})
            changes["optimizer"] = Component(self.optimizer.entry, by_role)
        return changes

    def check(self, tasks: Mapping[str, Mapping[str, Any]], model: Component) -> Sequence[tuple[str, str]]:
        """Unrolled windows must fit into the trajectories; the model must have weights."""
        problems = [
            ("unroll", f"{self.horizon} steps after {task['history']} given frames need "
                       f"{self.horizon + task['history']} frames; task '{name}' has {task['frames']}")
            for name, task in tasks.items()
            if task["kind"] == "evolution" and self.horizon + task["history"] > task["frames"]
        ]  # fmt: skip
        problems += [
            ("task_weights", f"there is no task '{name}'; tasks: {', '.join(tasks)}")
            for name in self.task_weights
            if name not in tasks
        ]
        problems += self._check_groups(tasks, model)
        if not getattr(model.config, "trainable", True):
            problems.append(("model", f"'{model.kind}' has nothing to train"))
        if not getattr(model.config, "latent", False):
            problems += [
                (option, f"'{model.kind}' has no latent space; set it to 0")
                for option in ("latent_unroll", "consistency")
                if getattr(self, option)
            ]
        return problems

    def check_trainer(self, spec: PipelineSpec) -> Sequence[tuple[str, str]]:
        """Options that need another strategy, or a GPU."""
        trainer, problems = spec.trainer, []
        strategy = trainer.strategy
        muon = isinstance(self.optimizer.config, MuonHybridConfig)
        if muon and getattr(strategy.config, "splits_matrices", False):
            problems.append(
                (
                    "optimizer",
                    f"Muon needs whole matrices, '{strategy.kind}' splits them; use fsdp2 or adamw",
                )
            )
        if self.offload and trainer.devices > 1:
            problems.append(
                ("offload", f"offload works on one device, got {trainer.devices}; for several set "
                            "trainer.strategy to {kind: fsdp2, offload: true}")
            )  # fmt: skip
        if getattr(spec.launcher.config, "remote", False):
            return problems  # what there is, is known there
        wanted = [
            (place, what)
            for place, what, asked in (
                ("offload", "offload", self.offload),
                ("trainer.strategy", "offload", getattr(strategy.config, "offload", False)),
                ("trainer.precision", f"precision {trainer.precision}", trainer.precision in GPU_PRECISIONS),
                ("trainer.accelerator", "accelerator gpu", trainer.accelerator == "gpu"),
            )
            if asked
        ]
        if wanted and not _gpus(trainer.accelerator):
            problems += [(place, f"{what} needs a GPU, and there is none here") for place, what in wanted]
        elif trainer.devices > 1 and 0 < _gpus(trainer.accelerator) < trainer.devices:
            problems.append(
                (
                    "trainer.devices",
                    f"{trainer.devices} GPUs are not here; there are {_gpus(trainer.accelerator)}",
                )
            )
        return problems

    def _check_groups(
        self, tasks: Mapping[str, Mapping[str, Any]], model: Component
    ) -> Sequence[tuple[str, str]]:
        """Groups of parameters that a spec names must fit the model, which has to be made to know."""
        config = self.optimizer.config
        if not isinstance(config, MuonHybridConfig) or config.groups is None:
            return ()
        from ups_train.optimizers.groups import assign_parameters_of

        try:
            assign_parameters_of(config, model, tasks)
        except UPSError as error:
            return [("optimizer.groups", str(error))]
        return ()


def _gpus(accelerator: str) -> int:
    """CUDA devices that a trainer would use; asked only where a spec needs to know: torch is slow to load."""
    if accelerator in ("cpu", "mps"):
        return 0
    import torch

    return torch.cuda.device_count()
