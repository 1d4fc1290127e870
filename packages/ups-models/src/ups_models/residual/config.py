"""How a corrected simulator samples; without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ups_core import Config

Sampler = Literal["heun", "euler", "jumps"]
Flow = Literal["rectified", "edm"]
"""How a flow is learned: see :mod:`ups_models.residual.flow`."""


class SamplerConfig(Config):
    """The way from noise to a residual."""

    kind: Sampler = "heun"
    """`heun` (two evaluations per step, but one in the last) and `euler` solve the flow's equation; `jumps`
    asks a student for the end of every step."""
    steps: Annotated[int, Field(ge=1)] = 8
    """Steps from noise to a residual."""
    start: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Time on the way at which sampling begins: 1 is noise alone. Less begins at the operator's prediction
    with so much noise and refines it, in the manner of PDE-Refiner (Lippe et al., arXiv 2308.05732)."""
    every: Annotated[int, Field(ge=1)] = 1
    """Frames of a rollout from one correction to the next."""
