"""Errors of parts of a rollout: the codec alone, one step from true frames, one step of twice the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_eval.metrics import nrmse_per_frame
from ups_eval.trajectory_statistics import Values
from ups_models.device import device_of
from ups_models.simulator import feed_back

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.windows import Windows
    from ups_models.simulator import Simulator

Probe = Callable[["Simulator", "FieldBatch"], Tensor]
"""The error of every trajectory of a batch, `(B,)`."""


def reconstruction(simulator: Simulator, batch: FieldBatch) -> Tensor:
    """nRMSE of encoding and decoding the newest given frame: a floor under the error of a rollout."""
    return _error(simulator.reconstruct(batch), batch.state[:, -1])


def one_step(simulator: Simulator, batch: FieldBatch) -> Tensor:
    """nRMSE of single steps from true frames, mean over the trajectory: what a rollout accumulates."""
    errors = []
    for frame in range(batch.target.shape[1]):
        errors.append(_error(simulator.rollout(batch, 1)[:, 0], batch.target[:, frame]))
        batch = feed_back(batch, batch.target[:, frame : frame + 1])
    return torch.stack(errors).mean(dim=0)


def semigroup(simulator: Simulator, batch: FieldBatch) -> Tensor:
    """nRMSE of one step of twice the time against two steps: zero for a flow that composes.

    A model that was trained at one time step only cannot know another one, so its value is about the change
    of a step.
    """
    doubled = replace(batch, dt=2 * batch.dt)
    if batch.forcing is not None:
        doubled.forcing = batch.forcing[:, ::2]
    return _error(simulator.rollout(doubled, 1)[:, 0], simulator.rollout(batch, 2)[:, 1])


def measure(probe: Probe, simulator: Simulator, windows: Windows, *, batch_size: int = 32) -> Values:
    """A probe of every trajectory, `(n,)` in the order of the windows; infinite where it is not finite."""
    device, errors = device_of(simulator), []
    simulator.eval()
    with torch.inference_mode():
        for begin in range(0, len(windows), batch_size):
            batch = windows.batch(range(begin, min(begin + batch_size, len(windows)))).to(device)
            errors.append(probe(simulator, batch).cpu())
    values: Values = torch.cat(errors).nan_to_num(torch.inf, torch.inf, torch.inf).numpy()
    return values


def _error(prediction: Tensor, target: Tensor) -> Tensor:
    return nrmse_per_frame(prediction[:, None].cpu(), target[:, None].cpu())[:, 0]
