"""Options of the noise that makes a network stochastic; without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ups_core import Config


class NoiseConfig(Config):
    """A vector of standard normal numbers that every member of an ensemble gets, the same at all places."""

    channels: Annotated[int, Field(ge=1)] = 32
    """Length of the vector."""
    hold: bool = False
    """Whether a member keeps its vector over a rollout, as a hidden parameter stays; else every step draws
    another one."""
