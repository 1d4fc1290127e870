"""Options of the noise input of a stochastic network; without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ups_core import Config


class NoiseConfig(Config):
    """A global noise vector: standard normal numbers per ensemble member, shared by all grid points."""

    channels: Annotated[int, Field(ge=1)] = 32
    """Length of the vector."""
    hold: bool = False
    """Whether a member keeps its vector during a rollout (for example for a hidden parameter); otherwise a
    new one is drawn at every step."""
