"""Classical methods of inferring fields from points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from scipy.interpolate import RBFInterpolator
from torch import Tensor, nn

from ups_data.solvers.base import ClassicalSolver, Given
from ups_eval.observations.config import ObservationsConfig
from ups_eval.observations.observers import Inference, Observer
from ups_eval.observations.training_fields import TrainingFields
from ups_models.prior.observations import joint_channels

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.info import Channel, TaskInfo
    from ups_models.prior.observations import Observations

NUGGET = 1e-5
"""Variance of the noise of exact observations, in units of the field's: the covariance of few training
samples has no full rank."""


class Method(Observer):
    """Base of the classical methods.

    Args:
        config: see :class:`Observer`.
        known: task name -> its training samples.
    """

    def __init__(self, config: ObservationsConfig, known: Mapping[str, TrainingFields]) -> None:
        data = {name: fields.data for name, fields in known.items()}
        tasks = {name: opened.info for name, opened in data.items()}
        statistics = {name: opened.statistics for name, opened in data.items()}
        # Without a network the harness keeps a method on the CPU, where scipy and the training samples are.
        super().__init__(config, tasks, statistics, nn.Identity())
        self.known = known

    def parameter_count(self) -> int:
        """None."""
        return 0

    def solver(self, task: TaskInfo) -> ClassicalSolver | None:
        """The solver of a task's equation, if it has one."""
        return self.known[task.name].data.solver

    def noise(self, observations: Observations, task: TaskInfo) -> Tensor:
        """Standard deviation of the noise `(B, J)` in physical units."""
        return observations.noise * self.std(task.name)

    def supports(self, task: TaskInfo) -> bool:
        """Problems that the method can solve."""
        return super().supports(task) and self.solves(self.problems[task.name])

    def solves(self, problem: Inference) -> bool:
        """Whether the method can solve a problem; all by default."""
        return True

    def solution(self, batch: FieldBatch, coefficients: Tensor, task: TaskInfo) -> Tensor:
        """The solver's solution `(B, C, *S)` of inferred coefficients `(B, Cs, *S)`.

        NaN where a coefficient is not finite: solvers do not stop at that.
        """
        solver = self.solver(task)
        assert solver is not None
        finite = coefficients.flatten(1).isfinite().all(dim=1)
        usable = nearest_values(coefficients, task.static_channels)[finite]
        for row, channel in enumerate(task.static_channels):
            if channel.positive and not channel.values:
                usable[:, row].clamp_(min=float(self.known[task.name].fields[:, row].min()))
        state, _, params = Given.of(batch)
        solutions = batch.static.new_full((len(batch), len(task.target_channels), *task.shape), torch.nan)
        if finite.any():
            given = Given(state[finite], usable.double(), params[finite])
            solutions[finite] = solver.solve(given, task, 1)[:, 0].to(solutions)
        return solutions


class TrainingMean(Method):
    """The mean of the training samples, whatever is observed."""

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        mean = self.known[problem.task.name].mean[problem.wanted].to(batch.static)
        return mean.reshape(1, -1, *problem.task.shape).expand(len(batch), -1, *problem.task.shape)


class NearestSample(Method):
    """The training sample that is nearest at the observed points."""

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        known = self.known[problem.task.name]
        found = []
        for values, mask in zip(observations.values.flatten(2), observations.mask.flatten(2), strict=True):
            error = (known.fields[:, mask] - values[mask]) / known.std[:, None].expand_as(mask)[mask]
            found.append(known.fields[int(error.square().sum(dim=1).argmin()), problem.wanted])
        return torch.stack(found).reshape(len(batch), -1, *problem.task.shape).to(batch.static)


class RadialBasis(Method):
    """Radial basis functions through the observed points; the solution then by the solver.

    Linear functions, with a constant: `scipy.interpolate.RBFInterpolator`. That is kriging with a linear
    variogram (Matheron, Adv. Appl. Probab. 5 (1973)), whose slope gives the smoothing for noise."""

    def solves(self, problem: Inference) -> bool:
        """Where what is wanted is observed, or follows from it by the solver."""
        if problem.direction == "forward":
            return self.solver(problem.task) is not None
        return problem.direction == "both"

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        points, known = batch.coords.double().numpy(), self.known[problem.task.name]
        variance = self.noise(observations, problem.task).square()
        found = torch.zeros_like(observations.values)
        for row, values in enumerate(observations.values.flatten(2)):
            for channel in range(values.shape[0]):
                mask = observations.mask[row, channel].flatten().numpy()
                if mask.any():
                    seen = values[channel].double().numpy()[mask]
                    smoothing = float(variance[row, channel])
                    if smoothing:
                        smoothing /= float(known.variogram_slope[channel])
                    surface = RBFInterpolator(points[mask], seen, kernel="linear", smoothing=smoothing)
                    whole = torch.from_numpy(surface(points))
                    found[row, channel] = whole.reshape(problem.task.shape).to(found)
        if problem.direction == "forward":
            return self.solution(batch, found[:, problem.observed], problem.task)
        return nearest_values(found[:, problem.wanted], joint_channels(problem.task)[problem.wanted])


class Kriging(Method):
    """The best linear estimate from the observed points, with mean and covariance of the training samples."""

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        return self.estimate(observations, problem, problem.wanted).to(batch.static)

    def estimate(self, observations: Observations, problem: Inference, wanted: slice) -> Tensor:
        """The estimate of some channels `(B, C, *S)`."""
        known = self.known[problem.task.name]
        flat = known.deviations.flatten(1)
        found = []
        relative = self.noise(observations, problem.task) / known.std
        for values, mask, noise in zip(
            observations.values.flatten(2), observations.mask.flatten(2), relative, strict=True
        ):
            seen = ((values - known.mean) / known.std[:, None])[mask].double()
            at_points = flat[:, mask.flatten()].double()
            covariance = at_points.T @ at_points / len(flat)
            variance = noise.double().square()[:, None].expand(mask.shape)[mask] + NUGGET
            weights = torch.linalg.solve(covariance + torch.diag(variance), seen)
            samples = (at_points @ weights / len(flat)).float()
            rows = known.deviations[:, wanted].flatten(1)
            estimate = (samples @ rows).reshape(-1, values.shape[1])
            found.append(known.mean[wanted] + known.std[wanted, None] * estimate)
        return torch.stack(found).reshape(len(observations), -1, *problem.task.shape)


class KrigingSolve(Kriging):
    """Kriging of the coefficient, then the classical solver."""

    def solves(self, problem: Inference) -> bool:
        """The solution of a coefficient."""
        return problem.direction == "forward" and self.solver(problem.task) is not None

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        coefficients = self.estimate(observations, problem, problem.observed).to(batch.static)
        return self.solution(batch, coefficients, problem.task)


def nearest_values(fields: Tensor, channels: tuple[Channel, ...]) -> Tensor:
    """Fields `(B, C, *S)` with the nearest values that their channels can have; NaN and infinity stay."""
    columns = []
    for row, channel in enumerate(channels):
        field = fields[:, row]
        if channel.values:
            values = torch.tensor(channel.values, dtype=field.dtype, device=field.device)
            nearest = values[(field[..., None] - values).abs().argmin(dim=-1)]
            field = torch.where(field.isfinite(), nearest, field)
        columns.append(field)
    return torch.stack(columns, dim=1)
