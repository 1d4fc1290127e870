"""Options of the step `observations`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from ups_core import Component
from ups_core.step_config import StepConfig
from ups_eval.config import ScoreConfig
from ups_models.prior.config import LearnedObservations, PosteriorConfig

Direction = Literal["forward", "inverse", "both"]
Method = Literal["mean", "nearest", "rbf", "kriging", "kriging_solve", "map"]


class ObservationsConfig(ScoreConfig):
    """Infer the solution from points of the coefficient, the reverse, or both fields from points of both.

    Every sample has its own random points. The model's rows are the mean of its posterior samples, what
    it expects by one evaluation, and the solver's solutions of sampled coefficients."""

    consumes: ClassVar[tuple[str, ...]] = ("prior",)

    directions: tuple[Direction, ...] = ("forward", "inverse")
    """What is inferred: `forward`, the solution from points of the coefficient; `inverse`, the coefficient
    from points of the solution; `both`, both fields from points of both. Scored as tasks `TASK.DIRECTION`."""
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.03
    """Share of the grid points that is observed, of every field."""
    points: PositiveInt | None = None
    """Number of observed points, in place of a share."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise of observations, in units of the field's over the train split."""
    members: int = Field(default=8, ge=2)
    """Posterior samples of every test sample."""
    sampler: PosteriorConfig | None = None
    """How posterior samples are drawn; default: as the prior was trained to."""
    baselines: tuple[Method, ...] = ("mean", "nearest", "rbf", "kriging", "kriging_solve")
    """`mean` of the training fields; `nearest` training sample at the observed points; `rbf`, radial basis
    functions through the observed points, and the classical solver; `kriging`, the best linear estimate with
    the covariance of the training samples; `kriging_solve`, that of the coefficient, and the solver; `map`,
    the most probable coefficient of a Gaussian law with that covariance, by the solver's exact adjoint."""

    @field_validator("directions", "baselines")
    @classmethod
    def _differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"'{twice}' is named twice; remove one")
        return names

    @model_validator(mode="after")
    def _one_number(self) -> ObservationsConfig:
        if not self.directions:
            raise ValueError("no directions, so nothing is inferred; name forward, inverse or both")
        if self.points is not None and self.share != type(self).model_fields["share"].default:
            raise ValueError("points and share both say how many points are observed; remove one")
        return self

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Sequence[tuple[str, str]]:
        """Observations that the prior was not trained with."""
        learned = getattr(inputs.get("prior"), "learned", None)
        if not isinstance(learned, LearnedObservations):
            return []
        problems = learned.problems(self.noise, self.sampler or PosteriorConfig())
        return [
            (option if option == "noise" else f"sampler.{option}", problem) for option, problem in problems
        ]

    @property
    def rows(self) -> list[str]:
        """See :class:`ScoreConfig`."""
        return ["expected", "posterior_solve", *self.baselines]

    def count(self, cells: int) -> int:
        """Observed points of a grid."""
        return round(self.share * cells) if self.points is None else self.points

    def check(self, tasks: Mapping[str, Any], model: Component) -> Sequence[tuple[str, str]]:
        """No point at all, or more than there are."""
        problems = []
        steady = {name: task for name, task in tasks.items() if task.kind == "steady"}
        for name, task in steady.items():
            cells = prod(task.shape)
            count, option = self.count(cells), "share" if self.points is None else "points"
            if not 1 <= count <= cells:
                problems.append(
                    (option, f"{count} of the {cells} points of task '{name}' cannot be observed")
                )
        return problems
