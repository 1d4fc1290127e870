"""Which options the spectral generators are accurate for; without numpy, because planning checks it too."""

from __future__ import annotations

MIN_NU, MAX_RHO = 5e-4, 100.0
"""Of reaction and diffusion on 1024 points: the error is 1.2e-5 at both limits, 4e-6 at ρ ≤ 10."""
GRIDS = ((1e-3, 64), (1e-4, 128), (1e-5, 256))
"""Of vorticity: from which viscosity on, and points along each axis."""


def limit_of_reaction_diffusion(nu: float, rho: float) -> str:
    """Why reaction and diffusion cannot be computed accurately on the native grid, or ""."""
    if nu < MIN_NU:
        return f"nu {nu:g} is too small for 1024 points; the smallest is {MIN_NU:g}"
    if rho > MAX_RHO:
        return f"rho {rho:g} makes fronts too steep for 1024 points; the largest is {MAX_RHO:g}"
    return ""


def points_of_vorticity(nu: float) -> int:
    """Points of the solver along each axis at a viscosity that it is accurate for."""
    return next(points for smallest, points in GRIDS if nu >= smallest)


def limit_of_vorticity(nu: float) -> str:
    """Why the vorticity cannot be computed accurately on the finest grid, or ""."""
    smallest, points = GRIDS[-1]
    if nu < smallest:
        grid = f"{points} x {points}"
        return f"nu {nu:g} is too small for the solver's {grid} points; the smallest is {smallest:g}"
    return ""
