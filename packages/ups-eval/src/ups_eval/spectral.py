"""fRMSE: the error in three bands of wavenumbers, as PDEBench defines them (arXiv 2210.07182).

A small RMSE can hide that fine structure is lost; these metrics show where in the spectrum the error is.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from math import isqrt
from typing import ClassVar

import torch
from torch import Tensor

from ups_eval.metrics import RootOfSampleMean, as_pair


def error_spectrum(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared spectral error per wavenumber: fields `(B, T, C, *S)` to `(B, T, C, K)`."""
    prediction, target = as_pair(prediction, target)
    return power_spectrum(prediction - target)


def power_spectrum(field: Tensor) -> Tensor:
    """Power per wavenumber: `(B, T, C, *S)` to `(B, T, C, K)`.

    1-D: |F_k|² / nx² of the real transform, k = 0 … nx/2. 2-D and 3-D: only the quadrant (octant) of the
    full transform with non-negative indices below n/2, its power summed in shells floor(|k|) < min(n)/2,
    divided by the squared number of cells. This is PDEBench's rule: it ignores every mode with a negative
    index, so values are smaller than over the complete plane.
    """
    shape = field.shape[3:]
    cells = shape.numel()
    if len(shape) == 1:
        line: Tensor = torch.fft.rfft(field, dim=3).abs().square() / cells**2
        return line
    halves = tuple(size // 2 for size in shape)
    power = torch.fft.fftn(field, dim=tuple(range(3, field.ndim))).abs().square()
    quadrant = power[(..., *(slice(half) for half in halves))].flatten(3)
    # Shells of an axis-aligned quadrant: the corner beyond the last complete shell is dropped.
    shells = torch.tensor(_shells(halves), device=field.device)
    inside = shells < min(halves)
    binned: Tensor = quadrant.new_zeros(*quadrant.shape[:3], min(halves))
    return binned.index_add(3, shells[inside], quadrant[..., inside] / cells**2)


@cache
def _shells(halves: tuple[int, ...]) -> tuple[int, ...]:
    """floor(|k|) of every mode of the quadrant, row-major; integer roots avoid off-by-one shells."""
    return tuple(isqrt(sum(i * i for i in k)) for k in product(*(range(half) for half in halves)))


class BandRMSE(RootOfSampleMean):
    """mean over t,c and the band's k of sqrt(mean over b of |ΔF_k|²) / cells (domain length one).

    NaN if the grid is too coarse to have wavenumbers in the band.
    """

    band: ClassVar[slice]

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Per sample, `(B, T, C, K)` with the K wavenumbers of the band."""
        return error_spectrum(prediction, target)[..., self.band]


class LowFRMSE(BandRMSE):
    """fRMSE of the wavenumbers 0 to 3."""

    band = slice(0, 4)


class MidFRMSE(BandRMSE):
    """fRMSE of the wavenumbers 4 to 11."""

    band = slice(4, 12)


class HighFRMSE(BandRMSE):
    """fRMSE of the wavenumbers 12 and above."""

    band = slice(12, None)
