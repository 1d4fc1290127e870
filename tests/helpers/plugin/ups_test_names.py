"""One component of every kind, with names as third parties give them: `author/Name.version`."""

from __future__ import annotations

from typing import Any, ClassVar

from ups_core import (
    CallbackConfig,
    EvaluationConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    OptimizerConfig,
    Register,
    SchedulerConfig,
    StepContext,
    StepResult,
    StrategyConfig,
    TrackerConfig,
    hookimpl,
)
from ups_core.launchers.local import LocalLauncher, LocalLauncherConfig


class HelloConfig(EvaluationConfig):
    consumes: ClassVar[tuple[str, ...]] = ("simulator",)


class Hello:
    def __init__(self, config: HelloConfig) -> None:
        self.config = config

    def run(self, context: StepContext) -> StepResult:
        return StepResult(
            {f"{task}/tested/{context.inputs['simulator'].name}": 1.0 for task in context.tasks}
        )


class NetConfig(ModelConfig):
    width: int = 4


def net(config: NetConfig, tasks: Any) -> Any:
    from ups_models.layers.convolution import grid_conv, zero_conv
    from ups_models.network import PerTaskNetwork, lifted_channels, out_channels

    def build(task: Any) -> Any:
        from torch import nn

        lift = grid_conv(lifted_channels(task), config.width, 3, sides=task.sides)
        return nn.Sequential(lift, nn.GELU(), zero_conv(task.dim, config.width, out_channels(task)))

    return PerTaskNetwork(tasks, build)


def score(config: MetricConfig) -> Any:
    import torch
    from torchmetrics import Metric

    class Score(Metric):
        """Minus the mean absolute error."""

        higher_is_better = True

        def __init__(self) -> None:
            super().__init__()
            self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
            self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

        def update(self, prediction: Any, target: Any) -> None:
            self.total += (prediction - target).abs().sum().float()
            self.count += target.numel()

        def compute(self) -> Any:
            return -self.total / self.count

    return Score()


def loss(config: LossConfig) -> Any:
    return lambda prediction, target: (prediction - target).abs().mean()


class StepSizeConfig(OptimizerConfig):
    lr: float = 1e-3


def optimizer(config: StepSizeConfig, parameters: Any) -> Any:
    import torch

    return torch.optim.SGD(list(parameters.values()), lr=config.lr)


def scheduler(config: SchedulerConfig, optimizer: Any, progress: Any) -> Any:
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: 1.0)


def strategy(config: StrategyConfig, devices: int, parameters: int) -> str:
    return "auto"


def tracker(config: TrackerConfig) -> Any:
    from lightning.pytorch.loggers import CSVLogger

    from ups_train.trackers.lightning_logger import LightningTracker

    return LightningTracker(lambda folder, name: CSVLogger(save_dir=folder, name="", version=name))


def callback(config: CallbackConfig) -> Any:
    from lightning.pytorch.callbacks import Callback

    return Callback()


@hookimpl
def ups_register_evaluations(register: Register) -> None:
    register("test/Hello.v2", Hello, config=HelloConfig, summary="names what it tests")


@hookimpl
def ups_register_models(register: Register) -> None:
    register("test/Net.v2", net, config=NetConfig, summary="two convolutions")


@hookimpl
def ups_register_metrics(register: Register) -> None:
    register("test/Score.v2", score, config=MetricConfig, summary="higher is better")


@hookimpl
def ups_register_losses(register: Register) -> None:
    register("test/L1.v2", loss, config=LossConfig, summary="absolute error")


@hookimpl
def ups_register_optimizers(register: Register) -> None:
    register("test/SGD.v2", optimizer, config=StepSizeConfig, summary="gradient descent")


@hookimpl
def ups_register_schedulers(register: Register) -> None:
    register("test/Flat.v2", scheduler, config=SchedulerConfig, summary="a constant rate")


@hookimpl
def ups_register_strategies(register: Register) -> None:
    register("test/One.v2", strategy, config=StrategyConfig, summary="as auto")


@hookimpl
def ups_register_launchers(register: Register) -> None:
    register("test/Here.v2", LocalLauncher, config=LocalLauncherConfig, summary="as local")


@hookimpl
def ups_register_trackers(register: Register) -> None:
    register("test/CSV.v2", tracker, config=TrackerConfig, summary="a logger of Lightning")


@hookimpl
def ups_register_callbacks(register: Register) -> None:
    register("test/Nothing.v2", callback, config=CallbackConfig, summary="does nothing")
