"""Grids that are strides of the native one, so that generated and official data have the same points."""

from __future__ import annotations

COARSEST = 8


def check_resolution(resolution: int, native: int) -> int:
    """`resolution` if it divides the native grid.

    Raises:
        ValueError: it does not; the message lists the valid values.
    """
    valid = [points for points in range(COARSEST, native + 1) if native % points == 0]
    if resolution not in valid:
        choices = ", ".join(map(str, valid))
        raise ValueError(f"resolution {resolution} does not divide the native {native} points; use {choices}")
    return resolution


def cell_centres(cells: int, points: int, low: float = 0.0, high: float = 1.0) -> tuple[float, ...]:
    """Every so many centres of equal cells: `points` of them, the first one included."""
    return tuple(low + (high - low) * ((cell + 0.5) / cells) for cell in range(0, cells, cells // points))
