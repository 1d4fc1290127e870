"""Random observations of training samples: which fields, at how many points, with how much noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ups_models.member_noise import MemberStreams
from ups_train.stages.prior_config import PriorConfig

BOTH = 0.1
"""Share of the samples with observations of coefficient and solution; others have one of them."""
DECADES = 3.0
"""Decades of noise below the largest."""


def draw_observations(
    fields: Tensor, given: int, config: PriorConfig, streams: MemberStreams, unit: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Observed values, mask and noise of scaled joint fields `(B, J, *S)`, as in an ``Evidence``.

    Args:
        fields: coefficients, then solutions.
        given: number of coefficients.
        config: the law.
        streams: random numbers, one stream per sample.
        unit: standard deviation of every channel over the train split, in the fields' units `(J,)`.
    """
    side, complete, share = torch.special.ndtr(streams.normal((3,))).unbind(dim=1)
    low, high = config.observed
    shares = torch.where(complete < config.complete, 1.0, low * (high / low) ** share)
    # On [0, 1]: no observation, both fields, the coefficient, the solution.
    rest = 1 - config.unconditional
    place = (side - config.unconditional) / max(rest, 1e-9)
    alone = (1 - BOTH) / 2
    coefficient = (place >= 0) & (place < BOTH + alone)
    solution = (place >= 0) & ((place < BOTH) | (place >= BOTH + alone))
    points = torch.special.ndtr(streams.normal((2, *fields.shape[2:])))
    seen = points < shares.reshape(-1, 1, *[1] * (fields.dim() - 2))
    seen &= torch.stack([coefficient, solution], dim=1).reshape(-1, 2, *[1] * (fields.dim() - 2))
    mask = torch.cat(
        [seen[:, :1].expand_as(fields[:, :given]), seen[:, 1:].expand_as(fields[:, given:])], dim=1
    ).to(fields.dtype)
    if not config.noise:
        return mask * fields, mask, fields.new_zeros(fields.shape[:2])
    noisy, size = torch.special.ndtr(streams.normal((2, fields.shape[1]))).unbind(dim=1)
    noise = config.noise * unit * torch.exp(-math.log(10) * DECADES * size)
    noise = torch.where((noisy < 0.5) & mask.flatten(2).any(dim=2), noise, 0.0)
    errors = streams.normal(fields.shape[1:]) * noise.reshape(*noise.shape, *[1] * (fields.dim() - 2))
    return mask * (fields + errors), mask, noise
