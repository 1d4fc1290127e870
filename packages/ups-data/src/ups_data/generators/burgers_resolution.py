"""How small a viscosity the Burgers generator can resolve; without numpy, because planning checks it too."""

from __future__ import annotations

import math

FINER = 8
"""Refinement of the native grid for the initial potential."""
RESOLVED = 1.2
"""Cells per standard deviation of the narrowest Gaussian; the trapezoid sum's error is then ≤ 2 exp(-28)."""
STEEPEST_WAVE = 250.0
"""Bound of u_x of the initial waves: 200 from a window's edge of width 0.01, and 50 from the waves."""


def smallest_nu(step: float, points: int) -> float:
    """The smallest ν for which the generator is exact at its points.

    The narrowest Gaussian must span `RESOLVED` cells: √(vD) in later steps, and
    √(2v / (1/D + max u_x)) on the finer grid of the first one, with v = ν/π and D = `step`.

    Args:
        step: time between frames.
        points: points of the native grid on the unit circle.
    """
    cell = RESOLVED / points
    return math.pi * max(cell**2 / step, (cell / FINER) ** 2 * (1 / step + STEEPEST_WAVE) / 2)
