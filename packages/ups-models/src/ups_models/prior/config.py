"""How a prior samples from its posterior; without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from ups_core import Config

TOLERANCE = 1e-6
"""Relative difference of noise that single precision makes."""


class PosteriorConfig(Config):
    """How fields are sampled that agree with observations."""

    kind: Literal["heun", "euler"] = "heun"
    """Solver of the flow's ODE: `heun` (two evaluations per step, one in the last) or `euler`."""
    steps: Annotated[int, Field(ge=1)] = 4
    """Number of steps from noise to fields."""
    guidance: NonNegativeFloat = 1.0
    """Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): 1 samples what the network learned given
    the observations, more than 1 exaggerates their effect, 0 leaves them to `misfit_weight` and `replace`.
    Every value but 1 costs a second evaluation."""
    misfit_weight: NonNegativeFloat = 0.0
    """Weight of the gradient of half the squared misfit to the observations, as in diffusion posterior
    sampling (Chung et al., arXiv 2209.14687); 0 saves the backward pass of every evaluation."""
    replace: bool = True
    """Whether observations without noise are met exactly: the flow's estimate is replaced there, as in
    extrapolation-correction-interpolation (arXiv 2412.01786)."""


class LearnedObservations(Config):
    """The observations that a prior was trained with; it knows nothing of others."""

    noise: NonNegativeFloat = 0.0
    """Largest standard deviation of their noise, in units of the channel's over the train split."""
    unconditional: bool = True
    """Whether some training samples had none, which guidance needs."""

    def problems(self, noise: float, sampler: PosteriorConfig) -> list[tuple[str, str]]:
        """Options `noise` and `guidance`, and why the prior cannot be used with them.

        Args:
            noise: of observations, in the units of :attr:`noise`.
            sampler: how samples are drawn.
        """
        found = []
        if noise > self.noise * (1 + TOLERANCE):
            found.append(
                (
                    "noise",
                    f"noise {noise:g} is more than the {self.noise:g} that the prior was trained with; train "
                    f"it with noise: {noise:g}",
                )
            )
        if sampler.guidance != 1 and not self.unconditional:
            found.append(
                (
                    "guidance",
                    f"guidance {sampler.guidance:g} needs a prior that was trained without observations too; "
                    "train it with unconditional above 0, or set guidance to 1",
                )
            )
        return found
