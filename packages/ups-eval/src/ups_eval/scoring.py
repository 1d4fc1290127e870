"""Scoring a simulator: roll it out over complete trajectories and compare with the truth.

The same function scores trained models, models of plugins and baselines, so that a number means the same
everywhere. Only predicted frames are compared: given frames are in `FieldBatch.state`, never in
`FieldBatch.target`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics import Metric

from ups_core import UPSError
from ups_eval.metrics import nrmse_per_frame
from ups_models.device import device_of

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.prepare.opening import TaskData
    from ups_models.simulator import Simulator

OnBatch = Callable[["FieldBatch", Tensor], None]
"""Called with each batch and its prediction `(B, T, C, *S)`."""


@dataclass(frozen=True)
class TaskScore:
    """The scores of a simulator on one split of one task.

    Attributes:
        metrics: value of every requested metric; all are infinite if any trajectory diverged.
        per_step: nRMSE of every predicted frame, mean over trajectories; T values.
        per_sample: nRMSE of every trajectory, mean over frames, in the order of the split.
        trajectories: their ids in the data file, in the same order.
        diverged: number of trajectories with a prediction that is not finite.
        seconds: wall time of the rollouts alone, in seconds.
    """

    metrics: dict[str, float]
    per_step: list[float]
    per_sample: list[float]
    trajectories: list[int]
    diverged: int
    seconds: float

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
    on_batch: OnBatch | None = None,
) -> TaskScore:
    """Roll out the trajectories of a split to their end and score them.

    A trajectory with a prediction that is not finite counts as infinitely wrong from that frame on; it never
    raises. If several processes score, `metrics` combine them as torchmetrics do, while everything else is
    about this process.

    Args:
        simulator: left in the mode (train or eval) that it was in.
        task_data: provides the trajectories.
        split: `train`, `val` or `test`.
        metrics: name -> metric; reset first.
        batch_size: trajectories per rollout.
        limit: score only the first so many trajectories of every parameter value.
        on_batch: called with each batch and its prediction.

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
    for metric in metrics.values():
        metric.reset()
    errors, trajectories, seconds = [], [], 0.0
    was_training = simulator.training
    simulator.eval()
    try:
        with torch.inference_mode():
            for begin in range(0, len(windows), batch_size):
                indices = range(begin, min(begin + batch_size, len(windows)))
                batch = windows.batch(indices).to(device)
                # The clock covers the rollout alone: reading data and scoring are not the model's cost.
                started = time.perf_counter()
                prediction = predict_target(simulator, batch)
                finite = torch.isfinite(prediction).flatten(2).all(dim=2).cpu()  # waits for the device
                seconds += time.perf_counter() - started
                errors.append(_score_batch(prediction, batch.target, finite, metrics))
                trajectories += batch.index.tolist()
                if on_batch is not None:
                    on_batch(batch, prediction)
    finally:
        simulator.train(was_training)
    per_frame = torch.cat(errors)
    diverged = int(torch.isinf(per_frame).any(dim=1).sum())
    return TaskScore(
        metrics={name: math.inf if diverged else float(metric.compute()) for name, metric in metrics.items()},
        per_step=per_frame.mean(dim=0).tolist(),
        per_sample=per_frame.mean(dim=1).tolist(),
        trajectories=trajectories,
        diverged=diverged,
        seconds=seconds,
    )


def reconstruction_error(
    simulator: Simulator, task_data: TaskData, split: str, *, batch_size: int = 32
) -> float:
    """nRMSE of encoding and decoding the newest given frame: a lower bound for the error of a rollout.

    Raises:
        UPSError: the simulator has no latent space.
    """
    windows, device = task_data.trajectories(split), device_of(simulator)
    errors = []
    with torch.inference_mode():
        for begin in range(0, len(windows), batch_size):
            batch = windows.batch(range(begin, min(begin + batch_size, len(windows)))).to(device)
            decoded, given = simulator.reconstruct(batch), batch.state[:, -1]
            errors.append(nrmse_per_frame(decoded[:, None].cpu(), given[:, None].cpu()))
    return float(torch.cat(errors).mean())


def predict_target(simulator: Simulator, batch: FieldBatch) -> Tensor:
    """The simulator's prediction of `batch.target`, `(B, T, C, *S)`.

    Raises:
        UPSError: the shapes differ.
    """
    prediction = simulator.rollout(batch, batch.target.shape[1])
    if prediction.shape != batch.target.shape:
        raise UPSError(
            f"rollout of task '{batch.task}' has shape {tuple(prediction.shape)}, "
            f"but the target has {tuple(batch.target.shape)}; Simulator.rollout must return (B, T, C, *S)"
        )
    return prediction


def _score_batch(prediction: Tensor, target: Tensor, finite: Tensor, metrics: Mapping[str, Metric]) -> Tensor:
    """nRMSE per frame `(B, T)` on the CPU, infinite where not `finite`; metrics get finite samples only."""
    device = _float64_device(prediction.device)
    prediction, target = prediction.to(device), target.to(device)
    errors = nrmse_per_frame(prediction, target).cpu()
    # One NaN would turn a metric's sum into NaN; a diverged trajectory is counted instead.
    complete = finite.all(dim=1)
    if complete.any():
        for metric in metrics.values():
            metric.update(prediction[complete], target[complete])
    return torch.where(finite, errors, math.inf)


def _float64_device(device: torch.device) -> torch.device:
    """The device to score on: the CPU for Apple's GPUs, which have no float64."""
    return torch.device("cpu") if device.type == "mps" else device
