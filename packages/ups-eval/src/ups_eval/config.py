"""Options of the evaluation steps; without torch, because planning reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from ups_core import Component, EvaluationConfig, ModelConfig, Registered, Requirement
from ups_eval.builtin_metrics import METRICS

# Plain data, not components: importing options must not look anything up in the registry.
ALL_METRICS: Any = tuple({"kind": name} for name in METRICS)
"""The default metrics, validated like those of a spec."""


class RolloutConfig(EvaluationConfig):
    """Score the newest simulator and baselines on full autoregressive rollouts."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)
    reads: ClassVar[tuple[str, ...]] = ("tasks",)

    split: Literal["train", "val", "test"] = "test"
    """Which trajectories to score."""
    metrics: tuple[Annotated[Component, Registered("metrics")], ...] = ALL_METRICS
    """Metrics to compute; `nrmse` must be among them, because tables and gates compare it."""
    baselines: tuple[str, ...] = ("persistence",)
    """Models to score in the same harness; the plan gets a training step for each that must be trained."""
    latent_rollout: bool = False
    """Score the rollout inside the latent space too; train the model with `latent_unroll` of the stage."""
    batch_size: int = Field(default=32, ge=1)
    """Trajectories per rollout; changes memory and speed, not numbers."""
    save_predictions: int = Field(default=16, ge=-1)
    """Trajectories per task stored in `predictions.h5`: best, median and worst first; 0 none, -1 all."""

    @field_validator("metrics")
    @classmethod
    def _metrics_hold_nrmse(cls, metrics: tuple[Component, ...]) -> tuple[Component, ...]:
        names = [metric.kind for metric in metrics]
        if "nrmse" not in names:
            raise ValueError("'nrmse' is missing; add it, because tables and gates compare it")
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"metrics named twice: {', '.join(sorted(duplicates))}; remove the duplicates")
        return metrics

    @field_validator("baselines")
    @classmethod
    def _baselines_differ(cls, baselines: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(baselines)) < len(baselines):
            raise ValueError(f"a baseline is named twice in {', '.join(baselines)}; remove the duplicate")
        return baselines

    @property
    def measures(self) -> str:
        """The split that is scored."""
        return self.split

    def check(self, tasks: Mapping[str, Any], model: Component) -> Sequence[tuple[str, str]]:
        """A latent rollout of a model without a latent space."""
        assert isinstance(model.config, ModelConfig)
        if self.latent_rollout and not model.config.latent:
            return [("latent_rollout", f"'{model.kind}' has no latent space; set it to false")]
        return ()

    def requirements(self) -> Sequence[Requirement]:
        """The baselines, trained."""
        return tuple(Requirement(model=name, artifact="simulator") for name in self.baselines)


class ReportConfig(EvaluationConfig):
    """Write `report/index.html`, one self-contained page about the run."""

    consumes: ClassVar[tuple[str, ...]] = ("metrics",)
    produces: ClassVar[tuple[str, ...]] = ("report",)
    always: ClassVar[bool] = True

    title: str | None = None
    """Heading of the page; default: the name of the run."""
    animate: bool = True
    """Whether to draw an animated rollout of every evolution task."""
