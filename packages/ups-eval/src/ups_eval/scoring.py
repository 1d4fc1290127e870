"""Scoring a simulator: roll it out over complete trajectories and compare with the truth.

The same function scores trained models, models of plugins and baselines, so that a number means the same
everywhere. Only predicted frames are compared: given frames are in `FieldBatch.state`, never in
`FieldBatch.target`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from ups_core import UPSError
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.metrics import TrajectoryMetric, nrmse_per_channel
from ups_eval.physics_metrics import PhysicsMetric, Problem
from ups_eval.trajectory_statistics import MAX_BYTES, Values, frame_means, reduce_values, trajectory_means
from ups_models.device import device_of

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.prepare.opening import TaskData
    from ups_models.simulator import Simulator

OnBatch = Callable[["FieldBatch", Tensor], None]
"""Called with each batch and the members that were predicted for it, `(M, B, T, C, *S)`."""


@dataclass(frozen=True)
class Ensemble:
    """How a stochastic simulator is rolled out; others always have one member.

    Attributes:
        members: M; 1 for the rollout without noise.
        seed: of what the members draw.
    """

    members: int = 1
    seed: int = 0

    def of(self, simulator: Simulator) -> int:
        """Members of a simulator's ensemble."""
        return self.members if self.members > 1 and simulator.stochastic else 1


SINGLE = Ensemble()
"""One rollout, without noise."""


@dataclass(frozen=True)
class TaskScore:
    """The scores of a simulator on one split of one task.

    Attributes:
        metrics: value of every requested metric; all are infinite if any trajectory diverged. Metrics that
            need more members than there are are missing.
        values: metric -> what every trajectory contributes to it, `(n, ...)`; infinite where it diverged.
            Missing are metrics of plugins that are not a :class:`~ups_eval.metrics.TrajectoryMetric`, and
            those with more than :data:`~ups_eval.trajectory_statistics.MAX_BYTES` of values.
        errors: nRMSE of every trajectory, predicted frame and channel, `(n, T, C)`; of the members' mean.
        params: PDE parameters of every trajectory, `(n, P)`.
        trajectories: their ids in the data file, in the order of the split.
        diverged: number of trajectories with a prediction, of any member, that is not finite.
        seconds: wall time of the rollouts alone, in seconds.
    """

    metrics: dict[str, float]
    values: dict[str, Values]
    errors: Values
    params: Values
    trajectories: list[int]
    diverged: int
    seconds: float = 0.0

    @property
    def per_step(self) -> list[float]:
        """nRMSE of every predicted frame, mean over trajectories; T values."""
        return frame_means(self.errors)

    @property
    def per_sample(self) -> list[float]:
        """nRMSE of every trajectory, mean over frames, in the order of the split."""
        return trajectory_means(self.errors)

    @property
    def nrmse(self) -> float:
        """Mean over trajectories and frames; infinite if any trajectory diverged."""
        return sum(self.per_sample) / len(self.per_sample)


def score(
    simulator: Simulator,
    task_data: TaskData,
    split: str,
    metrics: Mapping[str, Metric] | None = None,
    *,
    batch_size: int = 32,
    limit: int | None = None,
    ensemble: Ensemble = SINGLE,
    on_batch: OnBatch | None = None,
) -> TaskScore:
    """Roll out the trajectories of a split to their end and score them.

    Metrics see the mean of the members, :class:`~ups_eval.ensemble_metrics.EnsembleMetric` all of them.

    A trajectory with a prediction that is not finite counts as infinitely wrong from that frame on; it never
    raises.

    Args:
        simulator: left in the mode (train or eval) that it was in.
        task_data: provides the trajectories.
        split: `train`, `val` or `test`.
        metrics: name -> metric; reset first.
        batch_size: trajectories per rollout.
        limit: score only the first so many trajectories of every parameter value.
        ensemble: how a stochastic simulator is rolled out.
        on_batch: called with each batch and its members.

    Raises:
        UPSError: the split is empty, or the prediction has another shape than the target.
    """
    windows = task_data.trajectories(split, limit=limit)
    if len(windows) == 0:
        raise UPSError(
            f"task '{task_data.info.name}' has no trajectory in its {split} split; enlarge the split"
        )
    device = device_of(simulator)
    metrics = {name: metric.to(_float64_device(device)) for name, metric in (metrics or {}).items()}
    problem = Problem(windows.info, task_data.solver)
    metrics = {
        name: metric
        for name, metric in metrics.items()
        if _is_defined(metric, problem, ensemble.of(simulator))
    }
    for metric in metrics.values():
        metric.reset()
    tally = _Tally(metrics, len(windows), problem)
    seconds = 0.0
    was_training = simulator.training
    simulator.eval()
    try:
        with torch.inference_mode():
            for begin in range(0, len(windows), batch_size):
                indices = range(begin, min(begin + batch_size, len(windows)))
                batch = windows.batch(indices).to(device)
                # The clock covers the rollout alone: reading data and scoring are not the model's cost.
                started = time.perf_counter()
                members = predict_target(simulator, batch, ensemble)
                finite = torch.isfinite(members).flatten(3).all(dim=3).all(dim=0)
                finite = finite.cpu()  # waits for the device
                seconds += time.perf_counter() - started
                tally.add(members, batch, finite)
                if on_batch is not None:
                    on_batch(batch, members)
    finally:
        simulator.train(was_training)
    return replace(tally.score(), seconds=seconds)


def score_truth(
    task_data: TaskData,
    split: str,
    metrics: Mapping[str, PhysicsMetric],
    *,
    batch_size: int = 32,
    limit: int | None = None,
) -> TaskScore:
    """The physics metrics of the true solution; arguments as for :func:`score`."""
    windows = task_data.trajectories(split, limit=limit)
    problem = Problem(windows.info, task_data.solver)
    defined = {name: metric for name, metric in metrics.items() if metric.defined(problem)}
    tally = _Tally(defined, len(windows), problem)
    for begin in range(0, len(windows), batch_size):
        batch = windows.batch(range(begin, min(begin + batch_size, len(windows))))
        tally.add(batch.target[None], batch, torch.ones(batch.target.shape[:2], dtype=torch.bool))
    return tally.score()


def predict_target(simulator: Simulator, batch: FieldBatch, ensemble: Ensemble = SINGLE) -> Tensor:
    """The simulator's predictions of `batch.target`, `(M, B, T, C, *S)`.

    Raises:
        UPSError: the shapes differ.
    """
    steps, members = batch.target.shape[1], ensemble.of(simulator)
    if members > 1:
        predictions = simulator.sample(batch, steps, members, ensemble.seed)
    else:
        predictions = simulator.rollout(batch, steps)[None]
    if predictions.shape[1:] != batch.target.shape or len(predictions) != members:
        raise UPSError(
            f"rollout of task '{batch.task}' has shape {tuple(predictions.shape[1:])}, "
            f"but the target has {tuple(batch.target.shape)}; Simulator.rollout must return (B, T, C, *S)"
        )
    return predictions


def _is_defined(metric: Metric, problem: Problem, members: int) -> bool:
    if isinstance(metric, PhysicsMetric):
        return metric.defined(problem)
    return members >= (metric.fewest if isinstance(metric, EnsembleMetric) else 1)


class _Tally:
    """Collects what the trajectories of the batches contribute to every metric.

    Args:
        metrics: name -> metric, reset and on the device to score on.
        count: number of trajectories to come.
        problem: that they solve.
    """

    def __init__(self, metrics: Mapping[str, Metric], count: int, problem: Problem) -> None:
        self.metrics = metrics
        self.count = count
        self.problem = problem
        self.trajectories: list[int] = []
        self.params: list[Tensor] = []
        self.errors: list[Tensor] = []
        self.values: dict[str, list[Tensor]] = {}

    def add(self, members: Tensor, batch: FieldBatch, finite: Tensor) -> None:
        """Add a batch; `finite` says for every trajectory and frame whether all members are, `(B, T)`."""
        device = _float64_device(members.device)
        members, target = members.to(device), batch.target.to(device)
        prediction = members.mean(dim=0)
        errors = nrmse_per_channel(prediction, target).cpu()
        self.errors.append(torch.where(finite[:, :, None], errors, math.inf))
        self.trajectories += batch.index.tolist()
        self.params.append(batch.params.double().cpu())
        # One NaN would turn a metric's sum into NaN; a diverged trajectory is counted instead.
        complete = finite.all(dim=1)
        for name, metric in self.metrics.items():
            values = self._values(metric, members, prediction, batch)
            if values is not None and 8 * self.count * values[0].numel() <= MAX_BYTES:
                where = complete.reshape(-1, *[1] * (values.ndim - 1))
                self.values.setdefault(name, []).append(torch.where(where, values, math.inf))
            elif complete.any():
                seen = members[:, complete] if isinstance(metric, EnsembleMetric) else prediction[complete]
                metric.update(seen, target[complete])

    def _values(
        self, metric: Metric, members: Tensor, prediction: Tensor, batch: FieldBatch
    ) -> Tensor | None:
        """What every trajectory contributes `(B, ...)`; None for a metric that does not say."""
        if isinstance(metric, PhysicsMetric):
            if metric.of_mean:
                return metric.values(prediction, batch, self.problem).cpu()
            # The mean of an ensemble is smoother than any solution; its members are what is predicted.
            found = [metric.values(member, batch, self.problem) for member in members]
            return torch.stack(found).mean(dim=0).cpu()
        if isinstance(metric, EnsembleMetric):
            return metric.values(members, batch.target.to(members.device)).cpu()
        if isinstance(metric, TrajectoryMetric):
            return metric.values(prediction, batch.target.to(prediction.device)).cpu()
        return None

    def score(self) -> TaskScore:
        """The score of all batches."""
        errors = torch.cat(self.errors).numpy()
        diverged = int(np.isinf(errors).any(axis=(1, 2)).sum())
        values = {name: torch.cat(pieces).numpy() for name, pieces in self.values.items()}

        def number(name: str, metric: Metric) -> float:
            if diverged:
                return math.inf
            if isinstance(metric, (TrajectoryMetric, PhysicsMetric)) and name in values:
                return reduce_values(values[name], metric.reduction)
            return float(metric.compute())

        numbers = {name: number(name, metric) for name, metric in self.metrics.items()}
        params = torch.cat(self.params).numpy()
        return TaskScore(numbers, values, errors, params, self.trajectories, diverged)


def _float64_device(device: torch.device) -> torch.device:
    """The device to score on: the CPU for Apple's GPUs, which have no float64."""
    return torch.device("cpu") if device.type == "mps" else device
