"""How a prior samples from its posterior; without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from ups_core import Config


class PosteriorConfig(Config):
    """How fields are sampled that agree with observations."""

    kind: Literal["heun", "euler"] = "heun"
    """Solver of the flow's ODE: `heun` (two evaluations per step, one in the last) or `euler`."""
    steps: Annotated[int, Field(ge=1)] = 4
    """Number of steps from noise to fields."""
    guidance: NonNegativeFloat = 1.0
    """Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): 1 samples what the network learned given
    the observations, 0 ignores them, more than 1 exaggerates their effect and costs a second evaluation."""
    pull: NonNegativeFloat = 0.0
    """Weight of the gradient of half the squared misfit to the observations, as in diffusion posterior
    sampling (Chung et al., arXiv 2209.14687); 0 saves the backward pass of every evaluation."""
    replace: bool = True
    """Whether observations without noise are met exactly: the flow's estimate is replaced there, as in
    extrapolation-correction-interpolation (arXiv 2412.01786)."""
