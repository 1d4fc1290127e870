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
        summary: what these components are, in a few words.
        usage: where a spec (for commands: the command line) names one, with `NAME` for its name.
        base: lazy reference to the class that every options class of this kind subclasses.
        methods: what an object made by the factory must have; checked when it is made.
    """

    name: str
    singular: str
    summary: str
    usage: str
    base: str
    methods: tuple[str, ...] = ()

    @property
    def article(self) -> str:
        """`a` or `an`."""
        return "an" if self.singular[0] in "aeiou" else "a"

    def load_base(self) -> type[Any]:
        """Import the base of this kind's options classes."""
        base: type[Any] = load_object(self.base)
        return base

    def missing(self, made: object) -> list[str]:
        """Names of the methods that an object made by a factory lacks."""
        return [name for name in self.methods if not hasattr(made, name)]


_IN_STAGE = "pipeline: [{stage: operator, "
_BASES = "ups_core.base_configs"
_STEPS = "ups_core.step_config"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tasks", "task", "PDE problems with their data", "tasks: {problem: {kind: NAME}}",
             f"{_BASES}:TaskConfig", ("describe", "plan_data", "prepare_data", "open")),
        Kind("sources", "source", "where a task's data files come from",
             "tasks: {problem: {source: {kind: NAME}}}", f"{_BASES}:SourceConfig", ("plan", "provide")),
        Kind("layouts", "layout", "how files of one kind map to trajectories",
             "tasks: {problem: {kind: files, layout: {kind: NAME}}}", f"{_BASES}:LayoutConfig",
             ("recognises", "open")),
        Kind("models", "model", "networks, and baselines without parameters", "model: {kind: NAME}",
             f"{_BASES}:ModelConfig", ("forward",)),
        Kind("losses", "loss", "what training minimises", _IN_STAGE + "losses: [{kind: NAME}]}]",
             f"{_BASES}:LossConfig", ("__call__",)),
        Kind("optimizers", "optimizer", "how weights are updated", _IN_STAGE + "optimizer: {kind: NAME}}]",
             f"{_BASES}:OptimizerConfig", ("step", "param_groups")),
        Kind("schedulers", "scheduler", "learning rate over the steps of training",
             _IN_STAGE + "scheduler: {kind: NAME}}]", f"{_BASES}:SchedulerConfig", ("step", "state_dict")),
        Kind("strategies", "strategy", "how several devices share the work",
             "trainer: {strategy: {kind: NAME}}", f"{_BASES}:StrategyConfig"),
        Kind("stages", "stage", "pipeline steps that train", "pipeline: [{stage: NAME}]",
             f"{_STEPS}:StageConfig", ("run",)),
        Kind("metrics", "metric", "what evaluations measure",
             "pipeline: [{evaluate: rollout, metrics: [{kind: NAME}]}]", f"{_BASES}:MetricConfig",
             ("update", "compute", "reset")),
        Kind("evaluations", "evaluation", "pipeline steps that score, judge or report",
             "pipeline: [{evaluate: NAME}]", f"{_STEPS}:EvaluationConfig", ("run",)),
        Kind("launchers", "launcher", "where the processes of a step are started", "launcher: {kind: NAME}",
             f"{_BASES}:LauncherConfig", ("run", "describe")),
        Kind("trackers", "tracker", "experiment trackers, beside metrics.jsonl", "trackers: [{kind: NAME}]",
             f"{_BASES}:TrackerConfig", ("start", "log_metrics", "log_step", "finish")),
        Kind("callbacks", "callback", "Lightning callbacks of training stages",
             _IN_STAGE + "callbacks: [{kind: NAME}]}]", f"{_BASES}:CallbackConfig", ("setup", "state_dict")),
        Kind("commands", "command", "sub-commands of ups", "ups NAME --help", f"{_BASES}:CommandConfig",
             ("add_arguments", "run")),
    )
}  # fmt: skip
"""Every kind by its registry name, in the order of lists."""


def singular(kind: str) -> str:
    """`strategies` -> `strategy`, `models` -> `model`."""
    return KINDS[kind].singular
