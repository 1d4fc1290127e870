"""Options of `evaluate: gate`; without torch, because planning reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from ups_core import Config, EvaluationConfig
from ups_core.mistakes import did_you_mean
from ups_core.step_config import Issues, StepConfig
from ups_eval.config import unknown_metric
from ups_eval.gate.names import CHAMPION, unknown_model

Number = Annotated[float, Field(allow_inf_nan=False)]


class FrozenReference(Config):
    """A number of an earlier experiment or of a publication."""

    value: Number
    """Its mean over seeds."""
    std: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation over its seeds."""


class Criterion(Config):
    """One condition of a gate. It must hold at the worse end of the interval of what is compared."""

    metric: str = "nrmse"
    """A metric of the rollout."""
    task: str | None = None
    """Default: every task on which the reference, or without one something, has the metric."""
    of: str | None = None
    """Whose number: a baseline; default: the model under test."""
    horizon: PositiveInt | None = None
    """Only the first so many predicted frames (nrmse)."""
    channel: str | None = None
    """Only this channel (nrmse)."""
    where: dict[str, Number] = {}
    """Only trajectories with these parameter values."""
    against: str | FrozenReference | None = None
    """What the number is compared with: a baseline, `truth`, `champion` (of the leaderboard; passes without
    one), or a frozen `{value, std}`."""
    compare: Literal["ratio", "difference"] = "ratio"
    """How it is compared with `against`."""
    max: Number | None = None
    """Upper bound of the number, or of its ratio or difference. Default with `against`: 1, or 0."""
    min: Number | None = None
    """Lower bound; the default in place of `max` for metrics that are better when higher."""
    reproduces: FrozenReference | None = None
    """A trained baseline must be within three standard deviations of its frozen reference: a worse one is a
    straw man, and for a better one something leaks."""

    @model_validator(mode="after")
    def _says_what_must_hold(self) -> Criterion:
        if self.reproduces is not None:
            if self.against is not None or self.max is not None or self.min is not None:
                raise ValueError("'reproduces' is a condition of its own; remove against, max and min")
            if self.reproduces.std == 0:
                raise ValueError("'reproduces' needs the std of its reference")
        elif self.against is None and self.max is None and self.min is None:
            raise ValueError("nothing to hold; give max, min, against or reproduces")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} exceeds max {self.max:g}; exchange them")
        return self


class GateConfig(EvaluationConfig):
    """Judge the numbers of a rollout; a missing number fails."""

    consumes: ClassVar[tuple[str, ...]] = ("metrics",)
    produces: ClassVar[tuple[str, ...]] = ("gates",)

    criteria: list[Criterion] = Field(min_length=1)
    """All must hold."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the intervals, by bootstrap over trajectories."""
    seed_spread: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Assumed relative standard deviation of a number between seeds, in comparisons of trained models; seeds
    of one experiment in the leaderboard correct it."""
    store: str | None = None
    """The leaderboard with the champion; default: `leaderboard.sqlite` in the directory of runs."""
    on_fail: Literal["stop", "continue"] = "stop"
    """`stop`: later steps do not run, except reports. `ups-run` exits with code 3 in both cases."""

    def check_names(self, tasks: Sequence[str]) -> Issues:
        """Unknown tasks."""
        return [
            (f"criteria.{number}.task", f"unknown task '{item.task}'{did_you_mean(item.task, tasks)}")
            for number, item in enumerate(self.criteria)
            if item.task is not None and item.task not in tasks
        ]

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Issues:
        """Unknown metrics and models."""
        rollout = inputs.get("metrics")
        issues = []
        for number, item in enumerate(self.criteria):
            against = item.against if isinstance(item.against, str) else None
            problems = (
                ("metric", unknown_metric(item.metric, rollout)),
                ("of", unknown_model(item.of, rollout) if item.of is not None else ""),
                ("against", unknown_model(against, rollout, [CHAMPION]) if against is not None else ""),
            )
            issues += [(f"criteria.{number}.{option}", problem) for option, problem in problems if problem]
        return issues
