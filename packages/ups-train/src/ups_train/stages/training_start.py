"""From where a training window is predicted: transformed, disturbed, and a few steps on.

The pushforward trick (:mod:`ups_train.stages.curriculum`) begins on the model's own output.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_data.batches.symmetry import augment
from ups_models.simulator import Simulator, feed_back
from ups_train.stages.curriculum import draw_depth
from ups_train.stages.operator_config import OperatorConfig


def start_of(
    batch: FieldBatch, config: OperatorConfig, simulator: Simulator, seed: int, progress: float
) -> tuple[FieldBatch, FieldBatch]:
    """The window as the training sees it, and the same from where its graded steps start.

    Args:
        batch: windows of one task.
        config: symmetries, noise, and how deep the rollout is.
        simulator: runs the steps without gradients.
        seed: of everything that is drawn; the same on all ranks.
        progress: of the training, from 0 to 1.

    Returns:
        The transformed and disturbed batch, and one whose `target` are the frames with gradients.
    """
    task = simulator.tasks[batch.task]
    if config.augment:
        batch = augment(batch, task, derive_seed(seed, "augment"))
    if task.kind == "steady":
        return batch, batch
    depth = draw_depth(config, progress, derive_seed(seed, "depth"))
    if config.noise:
        scale = config.noise * simulator.normaliser(batch.task).state_std
        batch = replace(batch, state=batch.state + scale * noise_like(batch, derive_seed(seed, "noise")))
    start = batch
    if depth.warmup_steps:
        with torch.no_grad():
            start = feed_back(batch, simulator.rollout(batch, depth.warmup_steps))
    graded = slice(depth.warmup_steps, depth.warmup_steps + depth.graded_steps)
    return batch, replace(start, target=batch.target[:, graded])


def noise_like(batch: FieldBatch, seed: int) -> Tensor:
    """Standard normal numbers of the state's shape, a function of the seed and each sample's trajectory."""
    noise = [
        torch.randn(batch.state.shape[1:], generator=torch.Generator().manual_seed(derive_seed(seed, number)))
        for number in batch.index.tolist()
    ]
    return torch.stack(noise).to(batch.state)
