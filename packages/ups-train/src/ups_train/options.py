"""Options of losses, optimizers, schedules, strategies, launchers and trackers, free of torch."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ups_core import Config

PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class LossConfig(Config):
    """Options that every loss has."""

    weight: NonNegativeFloat = 1.0
    """Factor in the sum of losses."""


class H1Config(LossConfig):
    """Options of the H1 loss."""

    slope: NonNegativeFloat = 0.01
    """Weight of the squared slopes beside the squared values; 1 is the H1 norm."""


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


class StrategyConfig(Config):
    """A strategy without options."""

    splits_matrices: ClassVar[bool] = False
    """True where a process gets pieces of flattened parameters (ZeRO, FSDP1), which Muon cannot work on."""


class SeveralDevicesConfig(StrategyConfig):
    """A strategy that makes no sense on one device."""

    min_devices: ClassVar[int] = 2


class SingleConfig(StrategyConfig):
    """One device, one process."""

    max_devices: ClassVar[int] = 1


class Fsdp2Config(SeveralDevicesConfig):
    """Fully sharded data parallel."""

    offload: bool = False
    """Whether the shards of weights, gradients and optimizer state live in the hosts' memory, where the
    optimizer steps too; needs GPUs."""


class DeepSpeedConfig(SeveralDevicesConfig):
    """DeepSpeed ZeRO through Lightning; needs `pip install 'ups-train[deepspeed]'`."""

    splits_matrices: ClassVar[bool] = True

    zero: Literal[1, 2, 3] = 2
    """ZeRO stage: what is sharded is 1 the optimizer's state, 2 gradients too, 3 parameters too."""


class DDPConfig(SeveralDevicesConfig):
    """Distributed data parallel."""

    bucket_mb: PositiveFloat = 25.0
    """Megabytes of gradients that are averaged in one message."""


class TorchrunConfig(Config):
    """Processes of this machine by torch elastic."""

    restarts: Annotated[int, Field(ge=0)] = 0
    """How often all processes are started again, from the last checkpoint, when one fails."""


class SlurmConfig(Config):
    """A Slurm job with a task for every device; needs `pip install 'ups-train[slurm]'`."""

    remote: ClassVar[bool] = True

    partition: str | None = None
    """Partition; default: the cluster's."""
    account: str | None = None
    """Account that is charged; default: the user's."""
    minutes: Annotated[int, Field(ge=5)] = 60
    """Time limit of one job; 90 s before its end the job is put back in the queue."""
    cpus_per_task: Annotated[int, Field(ge=1)] = 1
    """CPUs of every task."""
    memory_gb: Annotated[int, Field(ge=1)] | None = None
    """Memory of every node; default: the cluster's."""
    gpus_per_node: Annotated[int, Field(ge=1)] | None = None
    """GPUs, and so tasks, of every node; default: all of the trainer's devices on one node, which asks for
    GPUs where `trainer.accelerator` is `gpu`."""
    requeues: Annotated[int, Field(ge=0)] = 3
    """How often a job that reached its time limit, or was told to end by Slurm, is put back in the queue."""
    setup: list[str] = []
    """Shell lines before the tasks start (`module load ...`)."""
    parameters: dict[str, str | int | bool] = {}
    """Further options of sbatch by their long names (`qos: high`); they replace those above."""


class SkyPilotConfig(Config):
    """A machine of a cloud for every step, rented and given back by SkyPilot's command `sky`."""

    remote: ClassVar[bool] = True

    infra: str | None = None
    """Where: `vast`, `aws`, `gcp/us-central1`, `kubernetes`; default: the cheapest that `sky check` finds."""
    accelerators: str | None = None
    """Kind of GPU, of which there is one for every device of the trainer; default: none."""
    use_spot: bool = False
    """Whether the machine may be taken away; the step then fails, and starts anew with the next `ups-run`."""
    disk_gb: Annotated[int, Field(ge=1)] | None = None
    """Size of the disk; default: SkyPilot's."""
    resources: dict[str, str | int | bool] = {}
    """Further fields of SkyPilot's `resources` (`image_id`, `cpus`, `memory`...)."""
    setup: list[str] = []
    """Shell lines before the packages are installed."""
    max_hours: PositiveFloat
    """Budget: a step is stopped when its machine was in use for so long, setup included."""
    max_cost_usd: PositiveFloat | None = None
    """Budget in dollars, which `usd_per_hour` turns into hours; the tighter one counts."""
    usd_per_hour: PositiveFloat | None = None
    """Price of the machine that `max_cost_usd` is reckoned with."""
    idle_minutes: Annotated[int, Field(ge=1)] = 10
    """The machine takes itself down after so long without work, even if nobody is there to do it."""

    @model_validator(mode="after")
    def _cost_needs_a_price(self) -> SkyPilotConfig:
        if (self.max_cost_usd is None) != (self.usd_per_hour is None):
            raise ValueError("max_cost_usd and usd_per_hour go together; give both or neither")
        return self

    @property
    def budget_seconds(self) -> int:
        """How long a step's machine may be in use."""
        hours = self.max_hours
        if self.max_cost_usd is not None and self.usd_per_hour is not None:
            hours = min(hours, self.max_cost_usd / self.usd_per_hour)
        return max(1, int(3600 * hours))


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
