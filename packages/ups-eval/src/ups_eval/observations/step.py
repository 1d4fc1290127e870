"""The step `observations`: a prior's posterior and classical methods on the same points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ups_core import StepContext
from ups_eval.observations.classical import (
    Kriging,
    KrigingSolve,
    Method,
    NearestSample,
    RadialBasis,
    TrainingMean,
)
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.map_estimate import MapEstimate
from ups_eval.observations.observers import Expected, PosteriorSamples
from ups_eval.observations.problems import of_problems
from ups_eval.observations.solved_samples import SolvedSamples
from ups_eval.observations.training_fields import TrainingFields
from ups_eval.score_step import Entrants, ScoreStep
from ups_models.bundle import load_prior
from ups_models.device import choose_device

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.windows import Windows
    from ups_data.prepare.opening import TaskData
    from ups_models.simulator import Simulator

METHODS: Mapping[str, type[Method]] = {
    "mean": TrainingMean,
    "nearest": NearestSample,
    "rbf": RadialBasis,
    "kriging": Kriging,
    "kriging_solve": KrigingSolve,
    "map": MapEstimate,
}


class ObservationsStep(ScoreStep):
    """Scores what is inferred from random points of every test sample."""

    config: ObservationsConfig

    def problems(self, data: Mapping[str, TaskData]) -> Mapping[str, TaskData]:
        """Every direction of every steady task."""
        self._data = {name: opened for name, opened in data.items() if opened.info.kind == "steady"}
        return of_problems(self._data, self.config.directions)

    def known(self, batch: FieldBatch) -> FieldBatch:
        """Fields at the observed points alone, NaN elsewhere."""
        observations = self._observer.observe(batch)
        points = torch.where(observations.mask, observations.values, torch.nan)
        return replace(batch, static=points)

    def memory(self, simulator: Simulator, windows: Windows) -> int | None:
        """Those of the prior; not reported for methods that compare with training samples."""
        return None if isinstance(simulator, Method) else super().memory(simulator, windows)

    def entrants(self, context: StepContext, data: Mapping[str, TaskData]) -> Entrants:
        """See :class:`ScoreStep`."""
        config, place = self.config, context.inputs["prior"] / "model"
        prior = load_prior(place).to(choose_device(context.spec.trainer.accelerator))
        fields = {name: TrainingFields(opened) for name, opened in self._data.items()}
        self._observer = PosteriorSamples(prior, config)
        entrants: dict[str, Simulator] = {
            "posterior": self._observer,
            "expected": Expected(prior, config),
            "posterior_solve": SolvedSamples(config, fields, prior),
        }
        for name in config.baselines:
            entrants[name] = METHODS[name](config, fields)
        return Entrants(entrants)
