"""The way between a residual and noise: rectified flow, and how it is followed back.

z_t = (1 - t) x + t e with residual x and standard normal e, so dz/dt = e - x, whose mean given z_t a network
learns (Liu et al., "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
arXiv 2209.03003; Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747).

The diffusion of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM,
arXiv 2206.00364), x + s e with data of deviation 1, is the same way in other units: s = t / (1 - t), and
z_t = (1 - t) (x + s e). `edm` is their choice of what the network sees and gives, of the times that are
learned and of those at which a sampler stops. An Euler step is the same in both units.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ups_models.residual.config import Flow, SamplerConfig

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Residuals on their way `(B, C, *S)`, time and jump `(B,)` to the mean velocity over the jump."""

LEVELS = (0.002, 80.0)
"""Least and largest noise s at which EDM's samplers stop; its steps are equal in s^(1/7)."""
LEARNED = (-1.2, 1.2)
"""Mean and deviation of ln s in EDM's training."""


def draw_time(normal: Tensor, flow: Flow) -> Tensor:
    """Times to learn from standard normal numbers: rectified flow learns all of (0, 1) evenly."""
    mean, deviation = LEARNED
    time: Tensor = torch.sigmoid(mean + deviation * normal) if flow == "edm" else torch.special.ndtr(normal)
    return time


def grid(steps: int, flow: Flow) -> Tensor:
    """Times from noise, 1 or almost, to the residual at 0, `(steps + 1,)`."""
    if flow == "rectified":
        return torch.linspace(1, 0, steps + 1)
    low, high = (level ** (1 / 7) for level in LEVELS)
    level = torch.linspace(high, low, steps) ** 7
    return torch.cat([level / (1 + level), torch.zeros(1)])


def deviation(time: Tensor) -> Tensor:
    """Standard deviation of z_t if that of residuals is 1."""
    return ((1 - time).square() + time.square()).sqrt()


def on_the_way(residual: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """z_t of residuals and noise `(B, C, *S)` at times `(B,)`."""
    return torch.lerp(residual, noise, over_fields(time, residual))


def difference(velocity: Velocity, z: Tensor, start: Tensor, end: Tensor, kind: str) -> Tensor:
    """z at the time `start` minus z at `end`, both `(B,)`, over one step of the solver.

    Heun's last step, to 0, is one of Euler: the velocity at 0 is that of noise which is already gone.
    """
    length = over_fields(start - end, z)
    if kind == "jumps":
        return length * velocity(z, start, start - end)
    still = torch.zeros_like(start)
    first = velocity(z, start, still)
    if kind == "euler":
        return length * first
    second = velocity(z - length * first, end, still)
    return length * torch.where(over_fields(end, z) > 0, (first + second) / 2, first)


def solve(velocity: Velocity, noise: Tensor, sampler: SamplerConfig, flow: Flow) -> Tensor:
    """Residuals from noise `(B, C, *S)`."""
    times = (sampler.start * grid(sampler.steps, flow)).to(noise.device)
    z = times[0] * noise
    for number, (start, end) in enumerate(pairwise(times), start=1):
        last = number == sampler.steps and sampler.kind == "heun"
        kind = "euler" if last else sampler.kind
        z = z - difference(velocity, z, start.expand(len(z)), end.expand(len(z)), kind)
    return z


def over_fields(values: Tensor, fields: Tensor) -> Tensor:
    """`(B,)` shaped to multiply `(B, C, *S)`."""
    return values.reshape(-1, *[1] * (fields.dim() - 1))
