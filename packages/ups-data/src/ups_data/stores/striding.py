"""Grids that plain striding reaches, so that generated and official data are the same points."""

from __future__ import annotations

COARSEST = 8


def check_resolution(resolution: int, native: int) -> int:
    """`resolution` if it divides the native grid.

    Raises:
        ValueError: with the legal values.
    """
    legal = [points for points in range(COARSEST, native + 1) if native % points == 0]
    if resolution not in legal:
        choices = ", ".join(map(str, legal))
        raise ValueError(f"resolution {resolution} is no stride of the native {native} points; use {choices}")
    return resolution
