"""One step of a simulator as a plain function of tensors."""

from __future__ import annotations

import copy
from itertools import product

import torch
from torch import Tensor, nn

from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_models.network import FORCED_FRAMES
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator

INDEX = 0
"""Number of the trajectories: only members of an ensemble depend on it, and a step has none."""


def input_shapes(task: TaskInfo) -> dict[str, tuple[int, ...]]:
    """Name -> shape without the batch of every input of a step, in their order."""
    shapes: dict[str, tuple[int, ...]] = {}
    if task.kind == "evolution":
        shapes["state"] = (task.history, len(task.state_channels), *task.shape)
    else:
        shapes["static"] = (len(task.static_channels), *task.shape)
    if task.parameters:
        shapes["params"] = (len(task.parameters),)
    if task.kind == "evolution" and task.static_channels:
        shapes["static"] = (len(task.static_channels), *task.shape)
    if task.forcing_channels:
        frames = task.history - 1 + FORCED_FRAMES
        shapes["forcing"] = (frames, len(task.forcing_channels), *task.shape)
    return shapes


class StepModule(nn.Module):
    """The next frame, or the solution of a steady task, on the training grid; physical units in and out.

    Without noise, and of a corrected simulator the operator's prediction without a residual.

    Args:
        simulator: is copied, so that tracing leaves nothing in it.
        task: name of one of its tasks.
    """

    coords: Tensor
    index: Tensor

    def __init__(self, simulator: Simulator, task: str) -> None:
        super().__init__()
        operator = simulator.operator if isinstance(simulator, CorrectedSimulator) else simulator
        self.simulator = copy.deepcopy(operator).cpu().eval().requires_grad_(False)
        self.task = simulator.tasks[task]
        self.names = tuple(input_shapes(self.task))
        coords = torch.tensor(list(product(*self.task.axes)), dtype=torch.float32)
        self.register_buffer("coords", coords, persistent=False)
        self.register_buffer("index", torch.tensor([INDEX]), persistent=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs as :func:`input_shapes` says, each with the batch as its first axis; `(B, C, *S)`."""
        given, task = dict(zip(self.names, inputs, strict=True)), self.task
        first = inputs[0]
        count = first.shape[0]  # not len(), which would fix the size of the batch
        empty = first.new_zeros(count, 0, len(task.target_channels), *task.shape)
        params = given.get("params", first.new_zeros(count, 0))
        batch = FieldBatch(
            task=task.name,
            state=given.get("state", empty),
            static=given.get("static", first.new_zeros(count, 0, *task.shape)),
            params=params,
            params_mask=torch.ones_like(params, dtype=torch.bool),
            dt=first.new_full((count,), task.dt),
            coords=self.coords,
            target=empty,
            index=self.index,
            forcing=given.get("forcing"),
        )
        return self.simulator.step(batch)
