"""A pseudo-spectral solver on periodic domains: u_t = L u + N(u), L diagonal in Fourier space.

Time: the exponential method of order 4 by Cox and Matthews ("Exponential time differencing for stiff
systems", J. Comput. Phys. 176, 2002), ETDRK4, with the coefficients as means over a circle in the complex
plane after Kassam and Trefethen ("Fourth-order time-stepping for stiff PDEs", SIAM J. Sci. Comput. 26, 2005).
Space: real Fourier series, of which N sees the lower two thirds of the wave numbers along each axis, so that
products of two fields have no aliasing errors (Orszag, "On the elimination of aliasing in finite-difference
schemes by filtering high-wavenumber components", J. Atmos. Sci. 28, 1971).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

CIRCLE = 32
"""Points on the upper half of the circle; coefficients are then exact to rounding."""


@dataclass(frozen=True)
class Modes:
    """Fourier modes of real fields on a periodic box.

    Attributes:
        shape: points along each axis, even.
        lengths: of the box along each axis.
    """

    shape: tuple[int, ...]
    lengths: tuple[float, ...]

    @cached_property
    def wavenumbers(self) -> tuple[Array, ...]:
        """2π k / length along each axis, in shapes that broadcast to a spectrum."""
        axes: list[Array] = []
        for axis, (points, length) in enumerate(zip(self.shape, self.lengths, strict=True)):
            last = axis == len(self.shape) - 1
            numbers = np.arange(points // 2 + 1) if last else np.fft.fftfreq(points, 1 / points)
            shape = [1] * len(self.shape)
            shape[axis] = -1
            scaled: Array = 2 * np.pi / length * numbers.astype(np.float64)
            axes.append(scaled.reshape(shape))
        return tuple(axes)

    @cached_property
    def laplacian(self) -> Array:
        """-|k|²."""
        return -np.asarray(sum(k**2 for k in self.wavenumbers), dtype=np.float64)

    @cached_property
    def kept(self) -> Array:
        """1 below two thirds of the largest wave number along each axis, 0 above."""
        mask = np.ones(self.laplacian.shape)
        for k, points, length in zip(self.wavenumbers, self.shape, self.lengths, strict=True):
            mask = mask * (np.abs(k) * length / (2 * np.pi) < points / 3)
        return mask

    def forward(self, field: Array) -> Spectrum:
        """Spectrum of fields `(..., *shape)`."""
        found: Spectrum = fft.rfftn(field, axes=self._axes)
        return found

    def backward(self, spectrum: Spectrum) -> Array:
        """Fields of a spectrum; the inverse of :meth:`forward`."""
        found: Array = fft.irfftn(spectrum, self.shape, axes=self._axes)
        return found

    def resized(self, spectrum: Spectrum, shape: tuple[int, ...]) -> Spectrum:
        """The spectrum on another grid: higher modes are dropped or zero, and so are the highest ones."""
        small = [min(old, new) // 2 for old, new in zip(self.shape, shape, strict=True)]
        found = np.zeros((*spectrum.shape[: -len(shape)], *shape[:-1], shape[-1] // 2 + 1), dtype=complex)
        numbers = [np.r_[0:half, 1 - half : 0] for half in small[:-1]] + [np.arange(small[-1])]
        place = (..., *np.ix_(*numbers))
        scale = float(np.prod(shape)) / float(np.prod(self.shape))
        found[place] = spectrum[place] * scale
        return found

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.shape), 0))


class ETDRK4:
    """Steps of one length.

    Args:
        linear: L, real and diagonal, in the shape of a spectrum.
        nonlinear: N, from spectrum to spectrum.
        step: time of one step.
    """

    def __init__(self, linear: Array, nonlinear: Callable[[Spectrum], Spectrum], step: float) -> None:
        self._nonlinear = nonlinear
        self._whole, self._half = np.exp(step * linear), np.exp(step * linear / 2)
        angles = np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE
        self._inner, first, middle, last = (np.empty_like(linear) for _ in range(4))
        # Row by row: a mean over the circle needs many times the memory of a spectrum.
        for row in np.ndindex(linear.shape[:-1]):
            z = step * linear[row][:, None] + np.exp(1j * angles)
            e = np.exp(z)
            self._inner[row] = step * ((np.exp(z / 2) - 1) / z).mean(axis=1).real
            first[row] = step * ((-4 - z + e * (4 - 3 * z + z**2)) / z**3).mean(axis=1).real
            middle[row] = step * (2 * (2 + z + e * (z - 2)) / z**3).mean(axis=1).real
            last[row] = step * ((-4 - 3 * z - z**2 + e * (4 - z)) / z**3).mean(axis=1).real
        self._weights = first, middle, last

    def advance(self, spectrum: Spectrum, steps: int = 1) -> Spectrum:
        """The spectrum `steps` steps later."""
        half, whole, inner, nonlinear = self._half, self._whole, self._inner, self._nonlinear
        first, middle, last = self._weights
        for _ in range(steps):
            start = nonlinear(spectrum)
            decayed = half * spectrum
            a = inner * start
            a += decayed
            at_a = nonlinear(a)
            b = inner * at_a
            b += decayed
            at_b = nonlinear(b)
            a *= half
            a += inner * (2 * at_b - start)
            at_c = nonlinear(a)
            at_a += at_b
            spectrum = whole * spectrum
            spectrum += first * start
            spectrum += middle * at_a
            spectrum += last * at_c
        return spectrum
