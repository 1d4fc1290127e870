"""Options of metrics and evaluation steps. Torch-free, because planning reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from ups_core import Component, EvaluationConfig, ModelConfig, Registered, Requirement
from ups_eval.builtin_metrics import METRICS

ALL_METRICS: Any = tuple({"kind": name} for name in METRICS)
"""The default choice, validated like a spec's."""


class RolloutConfig(EvaluationConfig):
    """Score the newest simulator and baselines on full autoregressive rollouts."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)
    reads: ClassVar[tuple[str, ...]] = ("tasks",)

    split: Literal["train", "val", "test"] = "test"
    """Which trajectories to score."""
    metrics: tuple[Annotated[Component, Registered("metrics")], ...] = ALL_METRICS
    """What to compute; `nrmse` must be among them, because tables and gates compare it."""
    baselines: tuple[str, ...] = ("persistence",)
    """Models to score in the same harness; one that has to be trained gets a training step in the plan."""
    latent_rollout: bool = False
    """Score the model's rollout inside its latent space too; train it with the stage's `latent_unroll`."""
    batch_size: int = Field(default=32, ge=1)
    """Trajectories rolled out at once; changes memory and speed, not numbers."""
    save_predictions: int = Field(default=16, ge=-1)
    """Trajectories per task kept in `predictions.h5`: best, median and worst first; 0 none, -1 all."""

    @field_validator("metrics")
    @classmethod
    def _metrics_hold_nrmse(cls, metrics: tuple[Component, ...]) -> tuple[Component, ...]:
        names = [metric.kind for metric in metrics]
        if "nrmse" not in names:
            raise ValueError("'nrmse' is missing; tables and gates compare it, so add it")
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(duplicates))}")
        return metrics

    @field_validator("baselines")
    @classmethod
    def _baselines_differ(cls, baselines: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(baselines)) < len(baselines):
            raise ValueError("a baseline is named twice")
        return baselines

    def check(self, tasks: Mapping[str, Any], model: Component) -> Sequence[tuple[str, str]]:
        """Only a model with a latent space can roll out in it."""
        assert isinstance(model.config, ModelConfig)
        if self.latent_rollout and not model.config.latent:
            return [("latent_rollout", f"'{model.kind}' has no latent space; set it to false")]
        return ()

    def requirements(self) -> Sequence[Requirement]:
        return tuple(Requirement(model=name, artifact="simulator") for name in self.baselines)


class ReportConfig(EvaluationConfig):
    """Write `report/index.html`, one self-contained page about the whole run."""

    consumes: ClassVar[tuple[str, ...]] = ("metrics",)
    produces: ClassVar[tuple[str, ...]] = ("report",)
    always: ClassVar[bool] = True

    title: str | None = None
    """Heading of the page; the run's name when left out."""
    animate: bool = True
    """Whether to draw an animated rollout of every evolution task."""
