"""The kinds of components that plugins register, and what each kind asks of its options class and factory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ups_core.references import load_object


@dataclass(frozen=True)
class Kind:
    """One kind of component: one `ups_register_<name>` hook.

    Attributes:
        name: the registry's plural, e.g. `models`.
        singular: one of them, e.g. `model`.
        base: lazy reference to the class that every options class of this kind subclasses.
        methods: what an object made by the factory must have; checked when it is made.
    """

    name: str
    singular: str
    base: str
    methods: tuple[str, ...] = ()

    def load_base(self) -> type[Any]:
        """Import the base of this kind's options classes."""
        base: type[Any] = load_object(self.base)
        return base

    def missing(self, made: object) -> list[str]:
        """Names of the methods that an object made by a factory lacks."""
        return [name for name in self.methods if not hasattr(made, name)]


_BASES = "ups_core.base_configs"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tasks", "task", f"{_BASES}:TaskConfig", ("info", "plan_data", "prepare_data", "open")),
        Kind("sources", "source", f"{_BASES}:SourceConfig", ("plan", "provide")),
        Kind("models", "model", f"{_BASES}:ModelConfig", ("forward",)),
        Kind("losses", "loss", f"{_BASES}:LossConfig", ("__call__",)),
        Kind("optimizers", "optimizer", f"{_BASES}:OptimizerConfig", ("step", "param_groups")),
        Kind("schedulers", "scheduler", f"{_BASES}:SchedulerConfig", ("step", "state_dict")),
        Kind("strategies", "strategy", f"{_BASES}:StrategyConfig"),
        Kind("stages", "stage", "ups_core.step_config:StageConfig", ("run",)),
        Kind("metrics", "metric", f"{_BASES}:MetricConfig", ("update", "compute", "reset")),
        Kind("evaluations", "evaluation", "ups_core.step_config:EvaluationConfig", ("run",)),
        Kind("launchers", "launcher", f"{_BASES}:LauncherConfig", ("run", "describe")),
        Kind("trackers", "tracker", f"{_BASES}:TrackerConfig", ("log_metrics",)),
        Kind("callbacks", "callback", f"{_BASES}:CallbackConfig", ("setup", "state_dict")),
        Kind("commands", "command", f"{_BASES}:CommandConfig", ("add_arguments", "run")),
    )
}
"""Every kind by its registry name, in the order of lists."""


def singular(kind: str) -> str:
    """`strategies` -> `strategy`, `models` -> `model`."""
    return KINDS[kind].singular
