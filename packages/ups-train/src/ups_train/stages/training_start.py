"""From where a training window is predicted: transformed, disturbed, and a few steps on.

The pushforward trick (:mod:`ups_train.stages.curriculum`) begins on the model's own output.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_data.batches.symmetry import augment
from ups_models.simulator import Simulator, feed_back
from ups_train.stages.curriculum import draw_depth
from ups_train.stages.operator_config import OperatorConfig


class TrainingStart(NamedTuple):
    """A training window, and where its steps with gradients start.

    Attributes:
        window: transformed, without noise.
        disturbed: the same with noise on the given frames.
        start: what the steps with gradients follow from; its `target` are their frames.
        given: the same without noise, which losses of physics compare with. After steps on the model's own
            output that is `start`.
    """

    window: FieldBatch
    disturbed: FieldBatch
    start: FieldBatch
    given: FieldBatch


def start_of(
    batch: FieldBatch, config: OperatorConfig, simulator: Simulator, seed: int, progress: float
) -> TrainingStart:
    """Transform and disturb a window, and run its steps without gradients.

    Args:
        batch: windows of one task.
        config: symmetries, noise, and how deep the rollout is.
        simulator: runs the steps without gradients.
        seed: of everything that is drawn; the same on all ranks.
        progress: of the training, from 0 to 1.
    """
    task = simulator.tasks[batch.task]
    if config.augment:
        batch = augment(batch, task, derive_seed(seed, "augment"))
    if task.kind == "steady":
        return TrainingStart(batch, batch, batch, batch)
    depth = draw_depth(config, progress, derive_seed(seed, "depth"))
    disturbed = batch
    if config.noise:
        scale = config.noise * simulator.normaliser(batch.task).state_std
        noise = scale * noise_like(batch, derive_seed(seed, "noise"))
        disturbed = replace(batch, state=batch.state + noise)
    start, given = disturbed, batch
    if depth.warmup_steps:
        with torch.no_grad():
            start = given = feed_back(disturbed, simulator.rollout(disturbed, depth.warmup_steps))
    target = batch.target[:, depth.warmup_steps : depth.warmup_steps + depth.graded_steps]
    return TrainingStart(batch, disturbed, replace(start, target=target), replace(given, target=target))


def noise_like(batch: FieldBatch, seed: int) -> Tensor:
    """Standard normal numbers of the state's shape, a function of the seed and each sample's trajectory."""
    noise = [
        torch.randn(batch.state.shape[1:], generator=torch.Generator().manual_seed(derive_seed(seed, number)))
        for number in batch.index.tolist()
    ]
    return torch.stack(noise).to(batch.state)
