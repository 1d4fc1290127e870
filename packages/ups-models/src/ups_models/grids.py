"""How strided layers fit a grid, in numbers, without torch: planners, configurations and layers share it."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod


def copies_of(cells: int, block: int) -> int:
    """How often a periodic axis is repeated until its length is a multiple of a block: block / gcd."""
    return block // gcd(cells, block)


def extended(cells: int, block: int, periodic: bool) -> int:
    """Cells of an axis as layers with blocks of `block` cells see it: repeated, or padded with zeros."""
    return cells * copies_of(cells, block) if periodic else cells + -cells % block


def cost_of_copies(shape: Sequence[int], block: int, periodic: Sequence[bool]) -> int:
    """Factor by which repeated copies raise the cost of a step on this grid; 1 if the blocks fit."""
    return prod(copies_of(cells, block) for cells, wraps in zip(shape, periodic, strict=True) if wraps)
