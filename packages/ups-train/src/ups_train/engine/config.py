"""Options that every training stage has, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from ups_core import (
    Component,
    Config,
    LauncherConfig,
    ModelConfig,
    OptimizerConfig,
    Registered,
    StageConfig,
    StrategyConfig,
    default_component,
)
from ups_core.step_config import Issues
from ups_core.trainer import TrainerSpec
from ups_models.bundle_config import Form
from ups_train.engine.init_config import InitConfig

Positive = Annotated[int, Field(ge=1)]
GPU_PRECISIONS = ("16-mixed", "tf32")


class CompileConfig(Config):
    """torch.compile."""

    mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    """How long to search for fast code; `reduce-overhead` uses CUDA graphs."""
    policy: Literal["allow", "require"] = "allow"
    """What happens where the network cannot be compiled: `allow` trains it uncompiled and says so, `require`
    fails the step."""


class CheckpointsConfig(Config):
    """When a training is saved, besides after every validation, and what is kept."""

    keep: Annotated[int, Field(ge=1)] = 2
    """Number of newest checkpoints to keep; the best is always kept."""
    every: PositiveFloat | None = 600.0
    """Maximum number of seconds between two; null for validations only."""
    asynchronous: bool = False
    """Whether they are written in a thread while training continues; takes their size in memory."""


class SpikesConfig(Config):
    """What to do about a loss that is suddenly much larger than before (a bad batch, a rate too high).

    A spike is a loss above `factor` times the median of the task's last `window` losses.
    """

    former_keys: ClassVar[Mapping[str, str]] = {"most": "renamed to 'max_spikes' in 0.2"}

    policy: Literal["off", "skip", "rollback", "stop"] = "off"
    """`skip`: no update from that batch; `rollback`: back to the last checkpoint, continuing without that
    batch; `stop`: the step fails before the update."""
    factor: Annotated[float, Field(gt=1.0)] = 10.0
    """A loss above this multiple of the median counts as a spike."""
    window: Annotated[int, Field(ge=5)] = 50
    """Number of recent losses of a task that its median is taken from; before that many, none is a spike."""
    max_spikes: Annotated[int, Field(ge=1)] = 5
    """Number of spikes in one training after which the next one fails the step."""


class TrainingConfig(StageConfig):
    """Options of every training stage; a stage adds those of its objective."""

    former_keys: ClassVar[Mapping[str, str]] = {"validate_on": "renamed to 'validation_trajectories' in 0.2"}
    form: ClassVar[Form] = "operator"
    """What of a saved simulator the stage trains, and can start from."""

    init: InitConfig | None = None
    """Trained weights to start from."""
    epochs: Positive | None = None
    """Passes over the training windows; default: 20, unless `max_steps` or `budget` end the training."""
    max_steps: Positive | None = None
    """Optimizer steps after which training ends even within an epoch; the schedule ends there too."""
    budget: PositiveFloat | None = None
    """Seconds of training steps after which training ends, validations not counted; schedule and curriculum
    follow the clock, so the result depends on the machine. Default: no limit."""
    batch_size: Positive = 32
    """Windows per batch and device; a batch has one task."""
    accumulate: Positive = 1
    """Batches per optimizer step."""
    task_weights: dict[str, PositiveFloat] = {}
    """Factors of single tasks' losses; default: 1."""
    measure_conflict: bool = False
    """Whether `metrics.jsonl` records how far the tasks' gradients agree: the mean cosine between gradients
    of successive batches of two tasks, over the weights that both use."""
    optimizer: Annotated[Component, Registered("optimizers")] = default_component("muon_hybrid")
    """Updates the weights."""
    scheduler: Annotated[Component, Registered("schedulers")] = default_component("cosine")
    """Learning rate over the steps."""
    clip: PositiveFloat | None = 1.0
    """Maximum gradient norm; null for no clipping."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = 0.995
    """Decay of the weights' moving average, which is validated and saved; null for none."""
    validate_every: Positive | None = None
    """Approximate number of batches between validations: they are spaced evenly and the last is at the end
    of training. Default: one per epoch; with a `budget` ten in all."""
    validation_trajectories: Positive | None = None
    """Validation trajectories per task and parameter value; default: all."""
    patience: Positive | None = None
    """Validations without improvement before training stops early; null for never."""
    compile: CompileConfig | None = None
    """torch.compile of the network; null for none."""
    recompute: bool = False
    """Whether blocks keep only their input and recompute the rest in the backward pass: less memory for about
    a third more time."""
    offload: bool = False
    """Whether the optimizer and its state are kept in host memory, which costs a copy of gradients and
    weights per step; needs a GPU."""
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    """How often training is saved."""
    spikes: SpikesConfig = SpikesConfig()
    """What to do about sudden large losses. A loss that is not finite always ends the step before the
    update."""
    callbacks: list[Annotated[Component, Registered("callbacks")]] = []
    """Further Lightning callbacks, from plugins."""
    select: Literal["best", "last"] = "best"
    """Which validated weights are saved: those with the lowest validation metric, or the last."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        if self.budget is not None:
            for name in ("epochs", "max_steps", "validate_every"):
                if getattr(self, name) is not None:
                    raise ValueError(f"budget and {name} exclude each other: set one of them")
        return self

    @model_validator(mode="after")
    def _gradients_of_one_batch(self) -> TrainingConfig:
        if self.measure_conflict and self.accumulate > 1:
            raise ValueError("measure_conflict compares gradients of single batches; set accumulate to 1")
        return self

    @property
    def horizon(self) -> int:
        """Frames after the given ones that a training window needs."""
        return 1

    def content(self) -> str:
        """The checksum of the weights that `init` names."""
        return "" if self.init is None else self.init.content()

    def origin(self) -> tuple[str, str] | None:
        """The step that `init` names."""
        return None if self.init is None or self.init.step is None else ("init.step", self.init.step)

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Without what names parameters of the other model, and from new weights."""
        optimizer = self.optimizer
        assert isinstance(optimizer.config, OptimizerConfig)
        other = Component(optimizer.entry, optimizer.config.for_other_model())
        return super().for_baseline(model) | {"optimizer": other, "init": None}

    def check_names(self, tasks: Sequence[str]) -> Issues:
        """Weights belong to tasks of the spec."""
        return [
            ("task_weights", f"unknown task '{name}'; tasks: {', '.join(tasks)}")
            for name in self.task_weights
            if name not in tasks
        ]

    def check(self, tasks: Mapping[str, Any], model: Component) -> Issues:
        """Training windows must fit into the trajectories; the model must have weights."""
        assert isinstance(model.config, ModelConfig)
        assert isinstance(self.optimizer.config, OptimizerConfig)
        problems = [
            (
                "unroll",
                f"{self.horizon} steps after {task.history} given frames need "
                f"{self.horizon + task.history} frames; task '{name}' has {task.frames}",
            )
            for name, task in tasks.items()
            if task.kind == "evolution" and self.horizon + task.history > task.frames
        ]
        problems += [
            (f"optimizer.{option}", message) for option, message in self.optimizer.config.check(model, tasks)
        ]
        if self.init is not None:
            problems += [("init.bundle", problem) for problem in self.init.problems(tasks, model, self.form)]
        if not model.config.trainable:
            problems.append(("model", f"'{model.kind}' has nothing to train"))
        return problems

    def trains(self, task: Any) -> bool:
        """Whether the stage trains on a task of the spec; on all by default.

        Args:
            task: the task's `info`.
        """
        return True

    def check_trainer(self, trainer: TrainerSpec, launcher: Component) -> Issues:
        """Options that need another strategy, or a GPU."""
        problems = []
        strategy = trainer.strategy.config
        assert isinstance(strategy, StrategyConfig)
        assert isinstance(launcher.config, LauncherConfig)
        assert isinstance(self.optimizer.config, OptimizerConfig)
        if self.optimizer.config.whole_matrices and strategy.splits_matrices:
            way = f"'{trainer.strategy.kind}' splits them; use fsdp2 or adamw"
            problems.append(("optimizer", f"Muon needs complete matrices, {way}"))
        if self.offload and trainer.devices > 1:
            way = "for several set trainer.strategy to {kind: fsdp2, offload: true}"
            problems.append(("offload", f"offload works on one device, got {trainer.devices}; {way}"))
        if launcher.config.remote:
            return problems  # which devices the other machine has is not known here
        wanted = [
            (place, what)
            for place, what, needed in (
                ("offload", "offload", self.offload),
                ("trainer.strategy", "offload", strategy.needs_gpu),
                ("trainer.precision", f"precision {trainer.precision}", trainer.precision in GPU_PRECISIONS),
                ("trainer.accelerator", "accelerator gpu", trainer.accelerator == "gpu"),
            )
            if needed
        ]
        if wanted and not _gpus(trainer.accelerator):
            problems += [(place, f"{what} needs a GPU, but none is visible") for place, what in wanted]
        elif trainer.devices > 1 and 0 < _gpus(trainer.accelerator) < trainer.devices:
            visible = f"only {_gpus(trainer.accelerator)} GPUs are visible"
            problems.append(("trainer.devices", f"trainer.devices is {trainer.devices} but {visible}"))
        return problems


def _gpus(accelerator: str) -> int:
    """CUDA devices that a trainer would use; asked only where a spec needs to know: torch is slow to load."""
    if accelerator in ("cpu", "mps"):
        return 0
    import torch

    return torch.cuda.device_count()
