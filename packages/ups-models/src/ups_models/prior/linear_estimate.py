"""The best linear estimate of joint fields from observations, with the covariance of training samples.

Gaussian regression in the leading empirical modes, also known as gappy POD (Everson and Sirovich, J. Opt.
Soc. Am. A 12, 1995) and optimal interpolation. What the modes leave out counts as noise of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

MAX_MODES = 128
MAX_NUMBERS = 2**24
"""Maximum number of entries of the modes."""
MIN_VARIANCE = 1e-5
"""Smallest variance of what the modes leave out."""
SAMPLES_PER_MODE = 8
"""Minimum number of samples for a mode. With fewer, modes follow the samples that they are measured on, and
leave out more of others."""


class LinearEstimate(nn.Module):
    """Fields of mean 0, estimated from some of their values.

    Args:
        shape: of a joint field `(J, *S)`.
        given: number of coefficients, which are the first channels.

    Attributes:
        modes: modes times their standard deviations `(J cells, M)`.
        residual_variance: of what the modes leave out `(J cells,)`.
        coefficient_gain: from complete coefficients to the factors of the modes `(M, given cells)`.
    """

    modes: Tensor
    residual_variance: Tensor
    coefficient_gain: Tensor

    def __init__(self, shape: Sequence[int], given: int) -> None:
        super().__init__()
        cells = prod(shape)
        count = max(1, min(MAX_MODES, MAX_NUMBERS // cells))
        # Buffers: parameters may be sharded over ranks and are gathered only inside a forward pass.
        self.register_buffer("modes", torch.zeros(cells, count))
        self.register_buffer("residual_variance", torch.ones(cells))
        self.register_buffer("coefficient_gain", torch.zeros(count, given * cells // shape[0]))

    def fit(self, fields: Tensor) -> None:
        """Measure modes and variances on samples `(N, J, *S)`."""
        flat = fields.flatten(1).double()
        _, weights = torch.linalg.eigh(flat @ flat.T / len(flat))
        count = max(1, min(len(flat) // SAMPLES_PER_MODE, self.modes.shape[1]))
        # The squared norm of a mode is its variance, so that its factor in a field has variance 1.
        found = flat.T @ weights[:, -count:] / len(flat) ** 0.5
        self.modes.zero_()[:, :count] = found
        left = flat.square().mean(dim=0) - found.square().sum(dim=1)
        self.residual_variance.copy_(left.clamp(min=MIN_VARIANCE))
        known = self.coefficient_gain.shape[1]
        self.coefficient_gain.copy_(_gain(self.modes[:known], 1 / self.residual_variance[:known]))

    def forward(self, values: Tensor, mask: Tensor, noise: Tensor) -> Tensor:
        """The estimate of all fields `(B, J, *S)`; 0 where nothing is observed.

        Args:
            values: `(B, J, *S)`.
            mask: 1 where they are observed `(B, J, *S)`.
            noise: standard deviation of the noise in every channel `(B, J)`.
        """
        flat, seen = values.flatten(1), mask.flatten(1)
        variance = noise.square().repeat_interleave(flat.shape[1] // noise.shape[1], dim=1)
        weight = seen / (self.residual_variance + variance)
        with torch.autocast(values.device.type, enabled=False):
            if values.device.type == "cpu":
                factors = torch.stack(
                    [self._of_points(*row) for row in zip(flat, seen > 0, weight, strict=True)]
                )
            else:
                factors = self._of_all(flat, weight)
            return (factors @ self.modes.T).reshape(values.shape)

    def given_coefficients(self, coefficients: Tensor) -> Tensor:
        """The estimate of all fields `(B, J, *S)` from complete exact coefficients `(B, Cs, *S)`."""
        factors = coefficients.flatten(1) @ self.coefficient_gain.T
        return (factors @ self.modes.T).reshape(len(coefficients), -1, *coefficients.shape[2:])

    def _of_points(self, values: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
        """Factors of the modes of one sample `(M,)`, from its observed points alone."""
        return _gain(self.modes[seen], weight[seen]) @ values[seen]

    def _of_all(self, values: Tensor, weight: Tensor) -> Tensor:
        """Factors of all samples `(B, M)`, with weights of 0, so that a GPU waits for no number of points."""
        return (_gain(self.modes, weight) @ values[:, :, None])[:, :, 0]


def _gain(modes: Tensor, weight: Tensor) -> Tensor:
    """The matrix `(..., M, N)` from values at N points to the factors of M modes `(N, M)`.

    Args:
        modes: at the points.
        weight: 1 / variance of what the values deviate from the modes by `(..., N)`.
    """
    scaled = (modes * weight[..., None]).mT
    unit = torch.eye(modes.shape[1], dtype=modes.dtype, device=modes.device)
    gain: Tensor = torch.linalg.solve(scaled @ modes + unit, scaled)
    return gain
