"""Number of steps on its own output that a model is trained on, growing over the training.

Training on the model's own output makes rollouts stable: with gradients through a few steps (unrolling), or
without gradients through the first ones (pushforward: Brandstetter, Worrall, Welling, "Message Passing Neural
PDE Solvers", arXiv 2202.03376).
"""

from __future__ import annotations

from dataclasses import dataclass

from ups_train.stages.operator_config import OperatorConfig


@dataclass(frozen=True)
class Depth:
    """Steps of one training window: first `warmup_steps` without gradients, then `graded_steps` with."""

    warmup_steps: int
    graded_steps: int


def draw_depth(config: OperatorConfig, progress: float, seed: int) -> Depth:
    """The depth of one batch; the warm-up steps are drawn evenly from 0 to their current maximum.

    Args:
        progress: of the training, from 0 to 1. Both depths grow evenly over the first `curriculum` of it.
        seed: of the step, the same on all ranks: their networks must run equally often.
    """
    grown = 1.0 if config.curriculum == 0 else min(1.0, progress / config.curriculum)
    max_warmup = min(config.pushforward, int(grown * (config.pushforward + 1)))
    graded = 1 + min(config.unroll - 1, int(grown * config.unroll))
    return Depth(seed % (max_warmup + 1), graded)
