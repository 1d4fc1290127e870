"""How a corrected simulator samples; without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ups_core import Config

Sampler = Literal["heun", "euler", "jumps"]
Flow = Literal["rectified", "edm"]
"""Parametrisation of the flow; see :mod:`ups_models.residual.flow`."""


class SamplerConfig(Config):
    """How residuals are sampled from noise."""

    kind: Sampler = "heun"
    """Solver of the flow's ODE: `heun` (two evaluations per step, one in the last) or `euler` for a flow,
    `jumps` (one evaluation per step) for a student."""
    steps: Annotated[int, Field(ge=1)] = 8
    """Number of steps from noise to the residual."""
    start: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Flow time at which sampling starts; 1 is pure noise. Below 1 it starts from the operator's prediction
    plus noise of this level and refines it, as in PDE-Refiner (Lippe et al., arXiv 2308.05732)."""
    every: Annotated[int, Field(ge=1)] = 1
    """Correct every so many frames of a rollout."""
