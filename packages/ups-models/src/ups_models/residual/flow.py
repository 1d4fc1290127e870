"""The probability path between residuals and noise, and the solvers that follow it.

Rectified flow: z_t = (1 - t) x + t e with residual x and standard normal e, so dz/dt = e - x. The network
learns the mean of this velocity given z_t (Liu et al., "Flow Straight and Fast: Learning to Generate and
Transfer Data with Rectified Flow", arXiv 2209.03003; Lipman et al., "Flow Matching for Generative Modeling",
arXiv 2210.02747).

EDM (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364)
adds noise of standard deviation s: x + s e. With s = t / (1 - t) this is the same path up to scale:
z_t = (1 - t) (x + s e), and an Euler step is the same in both. `edm` uses their preconditioning, distribution
of training times and sampling times, for data of standard deviation 1."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ups_models.residual.config import Flow, SamplerConfig

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Noisy residuals `(B, C, *S)`, time and jump `(B,)` to the mean velocity over the jump."""

LEVELS = (0.002, 80.0)
"""Smallest and largest noise level s of EDM's sampler; its steps are uniform in s^(1/7)."""
TRAINING_LEVELS = (-1.2, 1.2)
"""Mean and standard deviation of ln s in EDM's training."""


def draw_time(normal: Tensor, flow: Flow) -> Tensor:
    """Training times from standard normal numbers: uniform in (0, 1) for rectified flow."""
    mean, std = TRAINING_LEVELS
    time: Tensor = torch.sigmoid(mean + std * normal) if flow == "edm" else torch.special.ndtr(normal)
    return time


def grid(steps: int, flow: Flow) -> Tensor:
    """Sampling times from noise, at or close to 1, down to 0, `(steps + 1,)`."""
    if flow == "rectified":
        return torch.linspace(1, 0, steps + 1)
    low, high = (level ** (1 / 7) for level in LEVELS)
    level = torch.linspace(high, low, steps) ** 7
    return torch.cat([level / (1 + level), torch.zeros(1)])


def path_std(time: Tensor) -> Tensor:
    """Standard deviation of z_t for residuals of standard deviation 1."""
    return ((1 - time).square() + time.square()).sqrt()


def interpolate(residual: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """z_t of residuals and noise `(B, C, *S)` at times `(B,)`."""
    return torch.lerp(residual, noise, over_fields(time, residual))


def difference(velocity: Velocity, z: Tensor, start: Tensor, end: Tensor, kind: str) -> Tensor:
    """z at time `start` minus z at time `end`, both `(B,)`, for one step of the solver.

    Heun's step to time 0 is an Euler step, because the velocity at 0 is undefined.
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
    """Sample residuals `(B, C, *S)` from standard normal noise of the same shape."""
    times = (sampler.start * grid(sampler.steps, flow)).to(noise.device)
    z = times[0] * noise
    for number, (start, end) in enumerate(pairwise(times), start=1):
        last = number == sampler.steps and sampler.kind == "heun"
        kind = "euler" if last else sampler.kind
        z = z - difference(velocity, z, start.expand(len(z)), end.expand(len(z)), kind)
    return z


def over_fields(values: Tensor, fields: Tensor) -> Tensor:
    """Reshape `(B,)` so that it broadcasts over `(B, C, *S)`."""
    return values.reshape(-1, *[1] * (fields.dim() - 1))
