"""Samples of the exact law of random media given points, against which a prior of `darcy_grf` is measured.

The medium is 12 where a Gaussian field is positive and 3 elsewhere, so its points are signs of the field. The
values there are truncated normal, sampled by Gibbs steps (Geweke 1991), and the field between
them is Gaussian. The mean of the solutions has the smallest expected squared error that is possible.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.special import ndtr, ndtri
from torch import Tensor

from ups_data import prepare_task
from ups_data.generators.darcy_grf import HIGH, LOW, amplitudes
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.observers import Inference
from ups_eval.observations.problems import of_problems
from ups_eval.observations.solved_samples import SolvedSamples
from ups_eval.observations.training_fields import TrainingFields
from ups_eval.scoring import Ensemble, score
from ups_models.bundle import load_prior

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_models.prior.observations import Observations

Array = NDArray[np.float64]
MEMBERS = 64
SWEEPS = 300
JITTER = 1e-10
"""Added to the diagonal of the covariance, in units of its largest entry."""


class ExactPosterior(SolvedSamples):
    """Solutions of media from their exact law."""

    def coefficients(
        self, batch: FieldBatch, observations: Observations, problem: Inference, members: int, seed: int
    ) -> Tensor:
        """See :class:`~ups_eval.observations.solved_samples.SolvedSamples`."""
        found = []
        for row, (values, mask) in enumerate(
            zip(observations.values[:, 0], observations.mask[:, 0], strict=True)
        ):
            law = values.double().numpy(), mask.numpy()
            found.append(media_given_points(*law, members, SWEEPS, seed=int(batch.index[row]) + seed))
        return torch.from_numpy(np.stack(found, axis=1))[:, :, None]


def exact_scores(task: dict[str, Any], data: Path, prior: Path, points: dict[str, Any]) -> dict[str, float]:
    """Scores of the exact posterior of the solution on the test split, at the points that a prior sees.

    Args:
        task: options of `darcy_grf`.
        data: root of data files.
        prior: bundle, which says how the task is posed.
        points: share or number of observed points.
    """
    config = ObservationsConfig(directions=("forward",), members=MEMBERS, **points)
    options = dict(task)
    opened = prepare_task(options.pop("kind"), options, data)
    loaded = load_prior(prior)
    (name,) = loaded.tasks
    known = {name: TrainingFields(opened)}
    exact = ExactPosterior(loaded, config, known, {name: opened.solver})
    (problem,) = of_problems({name: opened}, config.directions).values()
    metrics = {metric.kind: metric.create() for metric in config.scores}
    return score(exact, problem, "test", metrics, ensemble=Ensemble(MEMBERS, config.seed)).metrics


def media_given_points(
    values: Array, mask: NDArray[np.bool_], members: int, sweeps: int, seed: int
) -> NDArray[np.float32]:
    """Media `(M, n, n)` that have the observed values.

    Args:
        values: of the medium `(n, n)`.
        mask: where they are observed `(n, n)`.
        members: M, each the end of a chain of its own.
        sweeps: Gibbs steps of every observed point.
        seed: of what is drawn.
    """
    random = np.random.default_rng(seed)
    grid, seen = mask.shape[0], np.flatnonzero(mask)
    amplitude = amplitudes(grid)
    unit = np.zeros((len(seen), grid * grid))
    unit[np.arange(len(seen)), seen] = 1
    waves = dctn(unit.reshape(-1, grid, grid), axes=(1, 2), norm="ortho")
    rows = idctn(amplitude**2 * waves, axes=(1, 2), norm="ortho").reshape(len(seen), -1)
    covariance = rows[:, seen]
    covariance = covariance + JITTER * covariance.max() * np.eye(len(seen))
    precision = np.linalg.inv(covariance)
    sign = np.where(values.flatten()[seen] > (LOW + HIGH) / 2, 1.0, -1.0)
    points = _truncated_normal(precision, sign, members, sweeps, random)
    prior = idctn(amplitude * random.standard_normal((members, grid, grid)), axes=(1, 2), norm="ortho")
    flat = prior.reshape(members, -1)
    fields = flat + (points - flat[:, seen]) @ precision @ rows
    fields[:, seen] = points
    return np.where(fields >= 0, HIGH, LOW).reshape(members, grid, grid)


def _truncated_normal(
    precision: Array, sign: Array, members: int, sweeps: int, random: np.random.Generator
) -> Array:
    """Samples `(M, N)` of a centred normal distribution whose components have given signs."""
    deviation = 1 / np.sqrt(np.diag(precision))
    found = sign * np.abs(random.standard_normal((members, len(sign)))) * deviation
    for _ in range(sweeps):
        for place in range(len(sign)):
            others = found @ precision[:, place] - found[:, place] * precision[place, place]
            mean = -others * deviation[place] * sign[place]  # of the component by its sign, of deviation 1
            # From the upper tail, which is exact where the lower one is nearly 1.
            tail = ndtr(mean) * random.random(members)
            positive = mean - ndtri(np.maximum(tail, np.finfo(np.float64).tiny))
            found[:, place] = sign[place] * deviation[place] * positive
    return found
