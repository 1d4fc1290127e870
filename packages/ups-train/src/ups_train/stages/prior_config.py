"""Options of the stage `steady_prior`, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeFloat, field_validator

from ups_core import Component
from ups_core.step_config import Issues
from ups_models.bundle_config import Form
from ups_models.prior.config import LearnedObservations, PosteriorConfig
from ups_train.engine.config import TrainingConfig

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class PriorConfig(TrainingConfig):
    """Trains a generative prior of coefficient and solution, given random observations, on all steady tasks.

    One network learns the joint distribution and every conditional one: the solution of a coefficient, the
    coefficient of a solution, and both from a few points."""

    produces: ClassVar[tuple[str, ...]] = ("simulator", "prior")
    form: ClassVar[Form] = "prior"

    sampler: PosteriorConfig = PosteriorConfig()
    """Sampler of the trained prior."""
    observed: tuple[float, float] = (0.005, 0.3)
    """Smallest and largest share of the points that training observes, log-uniform between them."""
    complete: Share = 0.1
    """Share of the training samples whose observed fields are complete."""
    unconditional: Share = 0.1
    """Share of the training samples without observations, which guidance needs."""
    noise: NonNegativeFloat = 0.0
    """Largest standard deviation of the noise of observations, in units of the channel over the train split;
    half of the observed channels have some, log-uniform over three decades."""
    regression: Share = 0.5
    """Share of the training samples that learn what is expected given the observations, not a velocity."""
    augment: bool = True
    """Whether batches are mirrored or transposed where the task declares that as a symmetry."""
    validation_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.03
    """Share of the points that validation observes for its errors."""

    @field_validator("observed")
    @classmethod
    def _increases(cls, observed: tuple[float, float]) -> tuple[float, float]:
        low, high = observed
        if not 0 < low <= high <= 1:
            raise ValueError(f"{low:g} to {high:g} are not shares of the points; give 0 < low <= high <= 1")
        return observed

    @property
    def samples(self) -> bool:
        """True."""
        return True

    @property
    def monitor(self) -> str:
        """The loss on validation samples, with the same random numbers every time."""
        return "val/loss"

    @property
    def learned(self) -> LearnedObservations:
        """The observations that training draws."""
        return LearnedObservations(noise=self.noise, unconditional=self.unconditional > 0)

    def trains(self, task: Any) -> bool:
        """Steady tasks."""
        steady: bool = task.kind == "steady"
        return steady

    def check(self, tasks: Mapping[str, Any], model: Component) -> Issues:
        """A spec without any steady task, or guidance that nothing was learned for."""
        problems = list(super().check(tasks, model))
        problems += [(f"sampler.{option}", why) for option, why in self.learned.problems(0.0, self.sampler)]
        if not any(map(self.trains, tasks.values())):
            names = ", ".join(tasks)
            problems.append(
                ("kind", f"a steady_prior needs a steady task, and {names} are evolutions; remove it")
            )
        return problems
