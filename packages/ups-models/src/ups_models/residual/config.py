"""How a corrected simulator samples; without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ups_core import Config

Sampler = Literal["heun", "euler", "jumps"]


class SamplerConfig(Config):
    """The way from noise to a residual."""

    kind: Sampler = "heun"
    """`heun` (two evaluations per step, but one in the last) and `euler` solve the flow's equation; `jumps`
    asks a student for the end of every step."""
    steps: Annotated[int, Field(ge=1)] = 8
    """Steps of equal length."""
    every: Annotated[int, Field(ge=1)] = 1
    """Frames of a rollout from one correction to the next."""
