"""Types of the factories that plugins register, one per kind.

torch and Lightning objects are `Any` here: the core does not import them. An annotated factory
(`make_net: ModelFactory = ...`) lets a type checker of a plugin's author verify the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ups_core.command import Command
from ups_core.launcher import Launcher
from ups_core.step import Step
from ups_core.task import TaskProvider
from ups_core.tracker import Tracker


class TaskFactory(Protocol):
    """A PDE problem with its data; `name` is the task's name in the spec."""

    def __call__(self, config: Any, /, *, name: str) -> TaskProvider: ...


class SourceFactory(Protocol):
    """An `ups_data.sources.base.Source`."""

    def __call__(self, config: Any, /) -> Any: ...


class LayoutFactory(Protocol):
    """An `ups_data.stores.layout.Layout`."""

    def __call__(self, config: Any, /) -> Any: ...


class ModelFactory(Protocol):
    """A `torch.nn.Module` for these tasks, task name -> `ups_data.info.TaskInfo`."""

    def __call__(self, config: Any, /, *, tasks: Mapping[str, Any]) -> Any: ...


class LossFactory(Protocol):
    """A callable of prediction and target `(B, T, C, *S)` that returns a scalar tensor."""

    def __call__(self, config: Any, /) -> Any: ...


class OptimizerFactory(Protocol):
    """A `torch.optim.Optimizer` of these parameters, full name -> parameter."""

    def __call__(self, config: Any, /, *, parameters: Mapping[str, Any]) -> Any: ...


class SchedulerFactory(Protocol):
    """A scheduler of torch; `progress` is an `ups_train.engine.progress.Progress`."""

    def __call__(self, config: Any, /, *, optimizer: Any, progress: Any) -> Any: ...


class StrategyFactory(Protocol):
    """What Lightning's Trainer accepts as `strategy`; `parameters` counts trainable scalars."""

    def __call__(self, config: Any, /, *, devices: int, parameters: int) -> Any: ...


class StageFactory(Protocol):
    """A training stage."""

    def __call__(self, config: Any, /) -> Step: ...


class MetricFactory(Protocol):
    """A `torchmetrics.Metric`."""

    def __call__(self, config: Any, /) -> Any: ...


class EvaluationFactory(Protocol):
    """An evaluation step."""

    def __call__(self, config: Any, /) -> Step: ...


class LauncherFactory(Protocol):
    """A launcher."""

    def __call__(self, config: Any, /) -> Launcher: ...


class TrackerFactory(Protocol):
    """A tracker."""

    def __call__(self, config: Any, /) -> Tracker: ...


class CallbackFactory(Protocol):
    """A Lightning callback."""

    def __call__(self, config: Any, /) -> Any: ...


class CommandFactory(Protocol):
    """A sub-command of `ups`."""

    def __call__(self, config: Any, /) -> Command: ...
