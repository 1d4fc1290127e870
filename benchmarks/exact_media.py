"""The exact posterior of Darcy flow given points of the medium, against which priors are measured.

Both laws of media are known, so media that agree with the points can be sampled from them, and the mean of
their solutions has the smallest expected squared error that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.special import ndtr, ndtri
from torch import Tensor

from ups_data import prepare_task
from ups_data.generators import darcy, darcy_grf
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.observers import Inference
from ups_eval.observations.problems import of_problems
from ups_eval.observations.solved_samples import SolvedSamples
from ups_eval.scoring import Ensemble, score
from ups_models.bundle import load_prior

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_models.prior.observations import Observations

Array = NDArray[np.float64]


class Points(NamedTuple):
    """Observed points of a medium on a grid of square cells.

    Attributes:
        high: whether they are of the larger material `(N,)`.
        rows: of the cells `(N,)`.
        columns: of the cells `(N,)`.
        grid: cells along each axis.
    """

    high: NDArray[np.bool_]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    grid: int


Law = Callable[[Points, int, np.random.Generator], Array]
"""Points, a number of samples and a generator to solutions `(M, grid, grid)`."""

MEMBERS = 64
SWEEPS = 300
"""Gibbs steps of every observed point of a random field."""
PARTICLES = 1000
MOVES = 15
"""Metropolis steps of every particle at every temperature."""
LARGEST_COLDER = 50.0
"""Largest difference between the inverse temperatures of two populations."""


def random_field(points: Points, members: int, random: np.random.Generator) -> Array:
    """Solutions for media of `darcy_grf` that agree with points; a :data:`Law`.

    Points are signs of the Gaussian field, whose values there are truncated normal and are sampled by Gibbs
    steps (Geweke 1991); the field between them is Gaussian.
    """
    high, rows, columns, grid = points
    amplitude = darcy_grf.amplitudes(grid)
    unit = np.zeros((len(high), grid, grid))
    unit[np.arange(len(high)), rows, columns] = 1
    waves = dctn(unit, axes=(1, 2), norm="ortho")
    covariance = idctn(amplitude**2 * waves, axes=(1, 2), norm="ortho")  # with every cell
    at_points = covariance[:, rows, columns]
    at_points += 1e-10 * at_points.max() * np.eye(len(high))
    precision = np.linalg.inv(at_points)
    values = _truncated_normal(precision, np.where(high, 1.0, -1.0), members, random)
    fields = idctn(amplitude * random.standard_normal((members, grid, grid)), axes=(1, 2), norm="ortho")
    fields += np.tensordot((values - fields[:, rows, columns]) @ precision, covariance, axes=1)
    fields[:, rows, columns] = values
    media = np.where(fields >= 0, darcy_grf.HIGH, darcy_grf.LOW)
    return np.stack([darcy.solve_darcy(field, 1.0, (1 / grid, 1 / grid), darcy_grf.WALLS) for field in media])


def _truncated_normal(precision: Array, sign: Array, members: int, random: np.random.Generator) -> Array:
    """Samples `(M, N)` of a centred normal distribution whose components have given signs."""
    deviation = 1 / np.sqrt(np.diag(precision))
    found = sign * np.abs(random.standard_normal((members, len(sign)))) * deviation
    for _ in range(SWEEPS):
        for place in range(len(sign)):
            others = found @ precision[:, place] - found[:, place] * precision[place, place]
            mean = -others * deviation[place] * sign[place]  # of the component by its sign, of deviation 1
            # From the upper tail, which is exact where the lower one is nearly 1.
            tail = ndtr(mean) * random.random(members)
            positive = mean - ndtri(np.maximum(tail, np.finfo(np.float64).tiny))
            found[:, place] = sign[place] * deviation[place] * positive
    return found


def five_bumps(points: Points, members: int, random: np.random.Generator) -> Array:
    """Solutions for media of PDEBench's family that agree with points; a :data:`Law`.

    Sequential Monte Carlo (Del Moral, Doucet and Jasra 2006) in the places and widths of the bumps: from the
    prior to particles without a wrong point, through temperatures of the number of wrong points.
    """
    high, rows, columns, grid = points
    cells, stride = darcy.POINTS, darcy.POINTS // grid
    axis = (np.arange(cells) + 0.5) / cells
    threshold = darcy.threshold(0, 0, cells)
    where = axis[rows * stride, None, None], axis[columns * stride, None, None]

    def wrong(bumps: Array) -> NDArray[np.intp]:
        x, y, width = bumps
        heights = np.exp(-((where[0] - x) ** 2 + (where[1] - y) ** 2) / (0.5 * width + 1e-12)).sum(axis=-1)
        errors: NDArray[np.intp] = ((heights > threshold) != high[:, None]).sum(axis=0)
        return errors

    bumps = random.random((3, PARTICLES, darcy.GAUSSIANS))
    errors, coldness = wrong(bumps), 0.0
    while (errors == 0).mean() < 0.5:
        step = _next_step(errors)
        coldness += step
        weights = np.exp(-step * (errors - errors.min()))
        places = (np.arange(PARTICLES) + random.random()) / PARTICLES
        chosen = np.searchsorted(np.cumsum(weights / weights.sum()), places).clip(max=PARTICLES - 1)
        bumps, errors = bumps[:, chosen], errors[chosen]
        for _ in range(MOVES):
            proposed = _moved(bumps, random)
            proposed_errors = wrong(proposed)
            accepted = np.log(random.random(PARTICLES)) < coldness * (errors - proposed_errors)
            bumps[:, accepted], errors[accepted] = proposed[:, accepted], proposed_errors[accepted]
    exact = np.flatnonzero(errors == 0)
    found = []
    for x, y, width in bumps[:, random.choice(exact, members), :, None].swapaxes(0, 1):
        heights = np.exp(-((axis - x) ** 2) / (0.5 * width)).T @ np.exp(-((axis - y) ** 2) / (0.5 * width))
        medium = np.where(heights > threshold, darcy.HIGH, darcy.LOW)
        found.append(darcy.solve_darcy(medium, 1.0, (1 / cells, 1 / cells))[::stride, ::stride])
    return np.stack(found)


def _next_step(errors: NDArray[np.intp]) -> float:
    """The step of the inverse temperature that leaves half of the effective number of particles."""
    low, high = 0.0, LARGEST_COLDER
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(-middle * (errors - errors.min()))
        if weights.sum() ** 2 < 0.5 * len(errors) * (weights**2).sum():
            high = middle
        else:
            low = middle
    return low


def _moved(bumps: Array, random: np.random.Generator) -> Array:
    """Bumps `(3, P, G)` after a symmetric random change of one bump or of all of every particle."""
    count = bumps.shape[1]
    scale = np.power(10, random.uniform(-2.5, -0.3, size=count))
    which, kind = random.integers(bumps.shape[2], size=count), random.integers(4)
    every, found = np.arange(count), bumps.copy()
    if kind == 0:
        found[:, every, which] = random.random((3, count))
    elif kind == 1:
        found += 0.5 * scale[:, None] * random.standard_normal(bumps.shape)
    else:
        found[:, every, which] += scale * random.standard_normal((3, count))
    found = np.abs(found) % 2  # reflected at the ends of [0, 1]
    return np.where(found > 1, 2 - found, found)


LAWS: dict[str, Law] = {"darcy_grf": random_field, "darcy2d": five_bumps}
"""Task -> the law of its media. The source is 1."""


class ExactPosterior(SolvedSamples):
    """Solutions for media from their exact law."""

    def solutions(
        self, batch: FieldBatch, observations: Observations, problem: Inference, members: int, seed: int
    ) -> Tensor:
        """See :class:`~ups_eval.observations.solved_samples.SolvedSamples`."""
        law, found = LAWS[problem.task.name], []
        middle = sum(problem.task.static_channels[0].values) / 2
        for number, values, mask in zip(
            batch.index.tolist(), observations.values[:, 0], observations.mask[:, 0], strict=True
        ):
            rows, columns = mask.nonzero(as_tuple=True)
            points = Points((values[mask] > middle).numpy(), rows.numpy(), columns.numpy(), mask.shape[0])
            found.append(law(points, members, np.random.default_rng((seed, number))))
        return torch.from_numpy(np.stack(found, axis=1))[:, :, None].to(batch.static)


def exact_scores(task: dict[str, Any], data: Path, bundle: Path, points: dict[str, Any]) -> dict[str, float]:
    """Scores of the exact posterior of the solution on the test split, at the points that a prior sees.

    Args:
        task: kind and options, as in a spec.
        data: root of data files.
        bundle: the prior, trained on a task that is named like its kind.
        points: share or number of observed points.
    """
    config = ObservationsConfig(directions=("forward",), members=MEMBERS, **points)
    kind = task["kind"]
    opened = prepare_task(kind, {key: value for key, value in task.items() if key != "kind"}, data)
    exact = ExactPosterior(load_prior(bundle), config, {}, {kind: opened.solver})
    (problem,) = of_problems({kind: opened}, config.directions).values()
    metrics = {metric.kind: metric.create() for metric in config.scores}
    return score(exact, problem, "test", metrics, ensemble=Ensemble(MEMBERS, config.seed)).metrics
