"""Viscosities and Mach numbers that the compressible generator resolves; without numpy, because planning
checks them too."""

from __future__ import annotations

from collections.abc import Sequence

NEGLIGIBLE = 1e-8
"""Viscosity that is left out: PDEBench's files without viscosity have it."""
THINNEST = 0.128
"""Smallest viscosity of random fields, in cells of the unit length: 1e-3 on 128 points. Below it the flow has
finer structures than the grid."""
LARGEST = 1.0
"""Largest viscosity that was compared with a finer grid."""
FASTEST = 2.0
"""Largest Mach number that was compared with a finer grid."""


def unresolved(etas: Sequence[float], machs: Sequence[float], cells: int, dim: int) -> str:
    """Why flows cannot be computed accurately, with the way out; "" if they can.

    Args:
        etas: viscosities.
        machs: Mach numbers; none in one dimension.
        cells: of the native grid, along each axis.
        dim: dimension. On a line any small viscosity is accurate: only shocks are thinner than a cell.
    """
    smallest = THINNEST / cells if dim > 1 else 0.0
    for eta in etas:
        if eta > LARGEST:
            return f"eta {eta:g} is too large; the largest is {LARGEST:g}"
        if NEGLIGIBLE < eta < smallest:
            return (
                f"eta {eta:g} is too small for {cells} points along each axis; "
                f"the smallest is {smallest:g}, or {NEGLIGIBLE:g} for a flow without viscosity"
            )
    for mach in machs:
        if mach > FASTEST:
            return f"mach {mach:g} is too large; the largest is {FASTEST:g}"
    return ""
