"""Options of the evaluation steps; without torch, because planning reads them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from ups_core import Component, EvaluationConfig, ModelConfig, Registered, Requirement, UPSError
from ups_core.mistakes import did_you_mean
from ups_core.names import FIELD, metric_key, step_id
from ups_core.step_config import StepConfig
from ups_eval.builtin_metrics import ENSEMBLE_METRICS, METRICS, PHYSICS_METRICS
from ups_models.bundle_config import read_bundle_config, weights_sum
from ups_models.residual.config import SamplerConfig

# Plain data, not components: importing options must not look anything up in the registry.
ALL_METRICS: Any = tuple({"kind": name} for name in METRICS)
"""The default metrics, validated like those of a spec."""
OF_ENSEMBLES: Any = tuple({"kind": name} for name in ENSEMBLE_METRICS)
"""The default metrics of several members."""


OF_FIELDS: Any = tuple({"kind": name} for name in PHYSICS_METRICS)
"""The default metrics of predicted fields."""

OWN_METRICS = ("diverged", "reconstruction", "one_step", "semigroup")
"""Names of numbers that a rollout reports beside its metrics."""
OWN_ROWS = ("latent_rollout", "without_sampling", "random_errors", "truth")
"""Names of what a rollout scores beside the model and its baselines."""


def is_higher_better(metric: Any) -> bool:
    """What a metric declares: `higher_is_better` of torchmetrics, None or missing for a lower one."""
    return bool(getattr(metric, "higher_is_better", False))


def baseline_name(baseline: Component | str) -> str:
    """What a baseline is called: its model, or the id of the step that trained it."""
    return baseline if isinstance(baseline, str) else baseline.kind


def check_rows(names: Sequence[str]) -> None:
    """Check names of baselines.

    Raises:
        ValueError: one is reserved, or given twice.
    """
    if taken := next((name for name in names if name in OWN_ROWS), None):
        raise ValueError(f"'{taken}' is what the step itself scores; give the step that you mean another id")
    if len(set(map(step_id, names))) < len(names):
        raise ValueError(
            f"a baseline is named twice in {', '.join(names)}; remove the duplicate, or write a "
            "stage with an id for one and name that id"
        )


class ScoreConfig(EvaluationConfig):
    """Options of every step that scores predictions of a split beside references."""

    consumes: ClassVar[tuple[str, ...]] = ("simulator",)
    produces: ClassVar[tuple[str, ...]] = ("metrics",)
    reads: ClassVar[tuple[str, ...]] = ("tasks",)

    split: Literal["train", "val", "test"] = "test"
    """Which trajectories to score."""
    metrics: tuple[Annotated[Component, Registered("metrics")], ...] = ALL_METRICS
    """Metrics to compute; `nrmse` must be among them, because tables and gates compare it."""
    ensemble_metrics: tuple[Annotated[Component, Registered("metrics")], ...] = OF_ENSEMBLES
    """Metrics to compute where there are several members."""
    physics_metrics: tuple[Annotated[Component, Registered("metrics")], ...] = OF_FIELDS
    """Properties of predicted fields (drift of what the task conserves, positivity, residual), where a task
    has them; the true solution's own values are reported beside them."""
    horizons: tuple[PositiveInt, ...] = (1, 4, 16)
    """Numbers of predicted frames over which errors are averaged, beside all of them."""
    limit: PositiveInt | None = None
    """Score only the first so many trajectories of every parameter value: a quick look at the same suite."""
    members: int = Field(default=1, ge=1)
    """Members of a stochastic model's ensemble."""
    seed: int = Field(default=0, ge=0)
    """Of what the members draw."""
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
        return metrics

    @model_validator(mode="after")
    def _metrics_differ(self) -> ScoreConfig:
        names = [metric.kind for metric in (*self.metrics, *self.physics_metrics, *self.ensemble_metrics)]
        keys = [metric_key(name) for name in names]
        if duplicates := sorted({name for name in names if keys.count(metric_key(name)) > 1}):
            raise ValueError(f"metrics named twice: {', '.join(duplicates)}; remove the duplicates")
        if taken := next((name for name in names if metric_key(name) in OWN_METRICS), None):
            raise ValueError(f"'{taken}' is a number that the step itself reports; rename the metric")
        return self

    @model_validator(mode="after")
    def _one_member_has_no_spread(self) -> ScoreConfig:
        names = [metric.kind for metric in self.ensemble_metrics]
        # A resolved spec names the defaults, whatever the number of members.
        if self.members == 1 and names and names != list(ENSEMBLE_METRICS):
            raise ValueError(
                f"{', '.join(names)} compare members of an ensemble, and members is 1; set members, or "
                "remove ensemble_metrics"
            )
        return self

    @property
    def ensemble(self) -> bool:
        """Whether any prediction has several members."""
        return self.members > 1

    def unused(self) -> tuple[str, ...]:
        """Metrics of ensembles, where there is none."""
        return () if self.ensemble else ("ensemble_metrics",)

    @property
    def scores(self) -> tuple[Component, ...]:
        """The metrics to compute."""
        of_members = self.ensemble_metrics if self.ensemble else ()
        return (*self.metrics, *self.physics_metrics, *of_members)

    def higher_is_better(self, metric: str) -> bool:
        """As the metric itself declares, which has to be made to find out."""
        key = metric.rpartition("/")[2]
        chosen = next((component for component in self.scores if metric_key(component.kind) == key), None)
        return chosen is not None and is_higher_better(chosen.create())

    @property
    def measures(self) -> str:
        """The split that is scored."""
        return self.split

    @property
    @abstractmethod
    def rows(self) -> list[str]:
        """What is scored beside the model, by the names of tables."""


class RolloutConfig(ScoreConfig):
    """Score the newest simulator and baselines on full autoregressive rollouts."""

    members: int = Field(default=1, ge=1)
    """Members of a stochastic model's ensemble. Their mean is scored like a prediction; fair CRPS, energy
    score, spread, ranks and coverage see all of them. Beside it are scored `without_sampling`, its one
    prediction without noise or correction, and `random_errors`, that plus errors of random training
    trajectories. 1: the prediction without noise."""
    sampler: SamplerConfig | None = None
    """How a corrected model samples; default: as it was trained to."""
    baselines: tuple[Annotated[Component | str, Registered("models", or_step=True)], ...] = ("persistence",)
    """Models to score in the same harness, with options as `{kind: unet, levels: 4}`; the plan gets a
    training step for each that must be trained. The id of an earlier step names what that step trained."""
    frozen: dict[Annotated[str, Field(pattern=FIELD)], str] = {}
    """Baselines that are not trained by this spec: name -> directory of a saved model, such as
    `runs/NAME/steps/fno/model`. Their weights are part of the step's fingerprint."""
    latent_rollout: bool = False
    """Score the rollout inside the latent space too; train the model with `latent_unroll` of the stage."""

    @field_validator("baselines")
    @classmethod
    def _baselines_differ(cls, baselines: tuple[Component | str, ...]) -> tuple[Component | str, ...]:
        check_rows([baseline_name(baseline) for baseline in baselines])
        return baselines

    @model_validator(mode="after")
    def _rows_differ(self) -> RolloutConfig:
        check_rows(self.rows)
        return self

    @property
    def rows(self) -> list[str]:
        """What is scored beside the model, by the names of tables."""
        return [*map(baseline_name, self.baselines), *self.frozen]

    def content(self) -> str:
        """The weights of frozen baselines."""
        sums = []
        for path in self.frozen.values():
            with suppress(UPSError):  # `check` says why
                sums.append(weights_sum(read_bundle_config(Path(path))))
        return " ".join(sums)

    def check(self, tasks: Mapping[str, Any], model: Component) -> Sequence[tuple[str, str]]:
        """A latent rollout of a model without a latent space; frozen baselines that cannot be loaded."""
        assert isinstance(model.config, ModelConfig)
        issues = []
        if self.latent_rollout and not model.config.latent:
            issues.append(("latent_rollout", f"'{model.kind}' has no latent space; set it to false"))
        for name, path in self.frozen.items():
            try:
                known = read_bundle_config(Path(path))["tasks"]
            except UPSError as error:
                issues.append((f"frozen.{name}", str(error)))
                continue
            if not set(known) & set(tasks):
                problem = f"{path} was trained on {', '.join(known)}, none of which this spec has"
                issues.append((f"frozen.{name}", problem))
        return issues

    def requirements(self) -> Sequence[Requirement]:
        """The baselines, trained."""
        return tuple(
            Requirement(
                model=baseline_name(baseline),
                # What is trained for the comparison repeats the stage of an operator; a step may have any.
                artifact="operator" if isinstance(baseline, Component) else "simulator",
                component=baseline if isinstance(baseline, Component) else None,
                option=("baselines", number),
            )
            for number, baseline in enumerate(self.baselines)
        )


def known_metrics(rollout: ScoreConfig) -> list[str]:
    """Names of the numbers that a rollout reports."""
    return [*(metric_key(metric.kind) for metric in rollout.scores), *OWN_METRICS]


def unknown_metric(metric: str, rollout: StepConfig | None) -> str:
    """What is wrong with the name of a metric; "" if nothing is, or if the step before is not a rollout."""
    if not isinstance(rollout, ScoreConfig) or metric_key(metric) in (known := known_metrics(rollout)):
        return ""
    return f"unknown metric '{metric}'{did_you_mean(metric, known)}"


class ReportConfig(EvaluationConfig):
    """Write `report/index.html`, one self-contained page about the run."""

    consumes: ClassVar[tuple[str, ...]] = ("metrics",)
    produces: ClassVar[tuple[str, ...]] = ("report",)
    always: ClassVar[bool] = True

    title: str | None = None
    """Heading of the page; default: the name of the run."""
    animate: bool = True
    """Whether to draw an animated rollout of every evolution task."""
