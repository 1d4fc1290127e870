"""Discrete Fourier transforms as products with real matrices, for formats without FFTs.

ONNX has no FFT over several axes that its runtimes execute, and no complex numbers. A transform along an axis
of n points to m frequencies is two real (n, m) matrices, exact up to rounding: O(n m) in place of O(n log n),
which costs no more where few modes are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Complex = tuple[Tensor, Tensor]
"""Real and imaginary part."""


class RealDFT(nn.Module):
    """Transforms of real fields `(B, C, *S)` to some frequencies, scaled as `norm="ortho"`.

    Args:
        shape: points along every axis.
        frequencies: integers of every axis; of the last axis from 0 on, because fields are real.
    """

    twice: Tensor

    def __init__(self, shape: Sequence[int], frequencies: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.dim = len(shape)
        for axis, (cells, numbers) in enumerate(zip(shape, frequencies, strict=True)):
            places = torch.arange(cells, dtype=torch.float64)[:, None]
            angle = 2 * math.pi / cells * ((places * torch.tensor(numbers, dtype=torch.float64)) % cells)
            self._constant(f"cos{axis}", angle.cos() / math.sqrt(cells))
            self._constant(f"sin{axis}", angle.sin() / math.sqrt(cells))
        cells, last = shape[-1], torch.tensor(frequencies[-1])
        # A real field has each frequency twice, but for 0 and the Nyquist frequency.
        twice = torch.where((last == 0) | (2 * last == cells), 1.0, 2.0)
        self._constant("twice", twice)

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.float(), persistent=False)

    def forward(self, x: Tensor) -> Complex:
        """The spectrum, real and imaginary part `(B, C, *frequencies)`."""
        last = self.dim - 1
        real, imaginary = _along(x, self._cos(last), last), -_along(x, self._sin(last), last)
        for axis in range(last):
            cos, sin = self._cos(axis), self._sin(axis)
            real, imaginary = (
                _along(real, cos, axis) + _along(imaginary, sin, axis),
                _along(imaginary, cos, axis) - _along(real, sin, axis),
            )
        return real, imaginary

    def inverse(self, spectrum: Complex) -> Tensor:
        """The field `(B, C, *S)` of a spectrum whose other frequencies are 0."""
        real, imaginary = spectrum
        last = self.dim - 1
        for axis in range(last):
            cos, sin = self._cos(axis).T, self._sin(axis).T
            real, imaginary = (
                _along(real, cos, axis) - _along(imaginary, sin, axis),
                _along(imaginary, cos, axis) + _along(real, sin, axis),
            )
        cos, sin = self._cos(last).T, self._sin(last).T
        return _along(real * self.twice, cos, last) - _along(imaginary * self.twice, sin, last)

    def _cos(self, axis: int) -> Tensor:
        found: Tensor = getattr(self, f"cos{axis}")
        return found

    def _sin(self, axis: int) -> Tensor:
        found: Tensor = getattr(self, f"sin{axis}")
        return found


def times(first: Complex, second: Complex) -> Complex:
    """The product of complex numbers."""
    return first[0] * second[0] - first[1] * second[1], first[0] * second[1] + first[1] * second[0]


def _along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """`(B, C, *S)` times a matrix along one axis of space."""
    return (x.movedim(2 + axis, -1) @ matrix).movedim(-1, 2 + axis)
