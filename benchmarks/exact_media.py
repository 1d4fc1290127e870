"""The exact posterior of Darcy flow given points of the medium, against which priors are measured.

Both laws of media are known, so media that agree with the points can be sampled from them, and the mean of
their solutions has the smallest expected squared error that is possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
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
from ups_eval.observations.classical import Method
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.observers import Inference
from ups_eval.observations.problems import of_problems
from ups_eval.observations.training_fields import TrainingFields
from ups_eval.scoring import Ensemble, score

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
LEVELS = 50
"""Number of levels that stand for their law."""
PARTICLES = 1000
MOVES = 200
"""Metropolis steps of every particle at every temperature."""
MAX_COLDER = 50.0
"""Maximum difference between the inverse temperatures of two populations."""
MAX_TEMPERATURES = 100


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

    Sequential Monte Carlo (Del Moral, Doucet and Jasra 2006) in places and widths of the bumps and the level
    that they are compared with: from the prior to particles without a wrong point, through temperatures of
    the number of wrong points.

    Raises:
        RuntimeError: half of the particles have a wrong point at every temperature.
    """
    cells, stride = darcy.POINTS, darcy.POINTS // points.grid
    axis = (np.arange(cells) + 0.5) / cells
    particles = Particles(points, axis, random)
    coldness = 0.0
    for _ in range(MAX_TEMPERATURES):
        if (particles.errors == 0).mean() >= 0.5:
            break
        step = _next_step(particles.errors)
        coldness += step
        particles.resample(np.exp(-step * (particles.errors - particles.errors.min())))
        for _ in range(MOVES):
            particles.move(coldness)
    else:
        raise RuntimeError(
            f"no medium found for {len(points.high)} points after {MAX_TEMPERATURES} temperatures"
        )
    exact = np.flatnonzero(particles.errors == 0)
    found: list[Array] = []
    while len(found) < members:
        which = random.choice(exact)
        x, y, width = particles.bumps[:, :, which, None]
        heights = np.exp(-((axis - x) ** 2) / (0.5 * width)).T @ np.exp(-((axis - y) ** 2) / (0.5 * width))
        high = heights > particles.level[which]
        if darcy.MINORITY <= high.mean() <= 1 - darcy.MINORITY:  # others are drawn again
            medium = np.where(high, darcy.HIGH, darcy.LOW)
            found.append(darcy.solve_darcy(medium, 1.0, (1 / cells, 1 / cells))[::stride, ::stride])
    return np.stack(found)


class Particles:
    """Bumps and levels, and which of the observed points they have wrong.

    Args:
        points: the observed points.
        axis: coordinates of the native grid.
        random: of everything that is drawn.
    """

    def __init__(self, points: Points, axis: Array, random: np.random.Generator) -> None:
        stride = len(axis) // points.grid
        self._x, self._y = axis[points.rows * stride, None], axis[points.columns * stride, None]
        self._high, self._random = points.high[:, None], random
        self.bumps = random.random((3, darcy.GAUSSIANS, PARTICLES))
        self.level = random.choice(_levels(), PARTICLES)
        self._heights = np.stack([self._height(bump) for bump in self.bumps.swapaxes(0, 1)])
        self._total = self._heights.sum(axis=0)
        self.errors = self._errors(self._total, self.level)

    def resample(self, weights: Array) -> None:
        """Draw particles by their weights `(P,)`, systematically."""
        places = (np.arange(PARTICLES) + self._random.random()) / PARTICLES
        chosen = np.searchsorted(np.cumsum(weights / weights.sum()), places).clip(max=PARTICLES - 1)
        self.bumps, self.level = self.bumps[:, :, chosen], self.level[chosen]
        self._heights, self.errors = self._heights[:, :, chosen], self.errors[chosen]
        self._total = self._heights.sum(axis=0)

    def move(self, coldness: float) -> None:
        """A Metropolis step of one bump, the same of every particle, or of the level."""
        random = self._random
        bump, kind = int(random.integers(darcy.GAUSSIANS)), int(random.integers(6))
        if kind == 0:
            level = random.choice(_levels(), PARTICLES)
            errors = self._errors(self._total, level)
            accepted = self._accepted(errors, coldness)
            self.level[accepted], self.errors[accepted] = level[accepted], errors[accepted]
            return
        proposed = random.random((3, PARTICLES)) if kind == 1 else self._near(self.bumps[:, bump], kind)
        height = self._height(proposed)
        total = self._total - self._heights[bump] + height
        errors = self._errors(total, self.level)
        accepted = self._accepted(errors, coldness)
        self.bumps[:, bump, accepted] = proposed[:, accepted]
        self._heights[bump][:, accepted] = height[:, accepted]
        self._total[:, accepted], self.errors[accepted] = total[:, accepted], errors[accepted]

    def _near(self, bump: Array, kind: int) -> Array:
        """A bump `(3, P)` after a symmetric random change of its place, its width or both."""
        scale = np.power(10, self._random.uniform(-3, -0.3, size=PARTICLES))
        change = scale * self._random.standard_normal((3, PARTICLES))
        if kind == 2:
            change[:2] = 0
        elif kind == 3:
            change[2] = 0
        found = np.abs(bump + change) % 2  # reflected at the ends of [0, 1]
        return np.where(found > 1, 2 - found, found)

    def _height(self, bump: Array) -> NDArray[np.float32]:
        """A bump `(3, P)` at the points `(N, P)`."""
        x, y, width = bump
        squared = (self._x - x) ** 2 + (self._y - y) ** 2
        height: NDArray[np.float32] = np.exp((-squared / (0.5 * width + 1e-12)).astype(np.float32))
        return height

    def _errors(self, total: NDArray[np.float32], level: Array) -> NDArray[np.intp]:
        """Number of wrong points `(P,)`."""
        errors: NDArray[np.intp] = ((total > level) != self._high).sum(axis=0)
        return errors

    def _accepted(self, errors: NDArray[np.intp], coldness: float) -> NDArray[np.bool_]:
        accepted: NDArray[np.bool_] = np.log(self._random.random(PARTICLES)) < coldness * (
            self.errors - errors
        )
        return accepted


@cache
def _levels() -> Array:
    """Levels of batches of samples, which have one for all."""
    return np.array([darcy.threshold(0, batch, darcy.POINTS) for batch in range(LEVELS)])


def _next_step(errors: NDArray[np.intp]) -> float:
    """The step of the inverse temperature that leaves half of the effective number of particles."""
    low, high = 0.0, MAX_COLDER
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(-middle * (errors - errors.min()))
        if weights.sum() ** 2 < 0.5 * len(errors) * (weights**2).sum():
            high = middle
        else:
            low = middle
    return low


LAWS: dict[str, Law] = {"darcy_grf": random_field, "darcy2d": five_bumps}
"""Task -> the law of its media. The source is 1."""


class ExactPosterior(Method):
    """Solutions for media from their exact law."""

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """Of one sample."""
        return self._solutions(batch, observations, problem, 1, self.config.seed)[0]

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :class:`~ups_models.simulator.Simulator`."""
        yield self._solutions(batch, self.observe(batch), self.problems[batch.task], members, seed)

    def _solutions(
        self, batch: FieldBatch, observations: Observations, problem: Inference, members: int, seed: int
    ) -> Tensor:
        law, found = LAWS[problem.task.name], []
        middle = sum(problem.task.static_channels[0].values) / 2
        for number, values, mask in zip(
            batch.index.tolist(), observations.values[:, 0], observations.mask[:, 0], strict=True
        ):
            rows, columns = mask.nonzero(as_tuple=True)
            points = Points((values[mask] > middle).numpy(), rows.numpy(), columns.numpy(), mask.shape[0])
            found.append(law(points, members, np.random.default_rng((seed, number))))
        return torch.from_numpy(np.stack(found, axis=1))[:, :, None].to(batch.static)


def exact_scores(task: dict[str, Any], data: Path, points: dict[str, Any]) -> dict[str, float]:
    """Scores of the exact posterior of the solution on the test split, at the points that a prior sees.

    Args:
        task: kind and options, as in a spec.
        data: root of data files.
        points: share or number of observed points.
    """
    config = ObservationsConfig(directions=("forward",), members=MEMBERS, **points)
    kind = task["kind"]
    opened = prepare_task(kind, {key: value for key, value in task.items() if key != "kind"}, data)
    exact = ExactPosterior(config, {kind: TrainingFields(opened)})
    (problem,) = of_problems({kind: opened}, config.directions).values()
    metrics = {metric.kind: metric.create() for metric in config.scores}
    return score(exact, problem, "test", metrics, ensemble=Ensemble(MEMBERS, config.seed)).metrics
