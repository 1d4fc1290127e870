"""Viscosities and Mach numbers that the compressible generator resolves: velocities are within 6 % of those
on a twice finer grid. Without numpy, because planning checks them too."""

from __future__ import annotations

from collections.abc import Sequence

NEGLIGIBLE = 1e-8
"""Viscosity that is left out: PDEBench's files without viscosity have it."""
LARGEST = 1.0
"""Largest viscosity that was compared with a finer grid."""
RESOLVED = ((1.0, 0.128, True), (2.0, 1.28, False))
"""Mach number up to which, smallest viscosity in widths of a cell (0.128: 1e-3 on 128 cells), and whether
negligible viscosity is resolved, too. Flows with less viscosity have structures thinner than a cell."""


def unresolved(etas: Sequence[float], machs: Sequence[float], cells: int) -> str:
    """Why flows in two or three dimensions cannot be computed accurately; "" if they can.

    Args:
        etas: viscosities.
        machs: Mach numbers.
        cells: of the native grid, along each axis.
    """
    fastest = max(machs)
    row = next((row for row in RESOLVED if fastest <= row[0]), None)
    if row is None:
        return f"mach {fastest:g} is too large; the largest is {RESOLVED[-1][0]:g}"
    _, widths, inviscid = row
    smallest = widths / cells
    allowed = f"{smallest:g}" + (f", or {NEGLIGIBLE:g} for a flow without viscosity" if inviscid else "")
    for eta in etas:
        if eta < smallest and not (inviscid and eta <= NEGLIGIBLE):
            return (
                f"eta {eta:g} is too small for {cells} cells along each axis and mach {fastest:g}; "
                f"the smallest is {allowed}"
            )
    return too_viscous(etas)


def too_viscous(etas: Sequence[float]) -> str:
    """Why flows cannot be computed; "" if they can. On a line only shocks are thinner than a cell, so any
    smaller viscosity is accurate."""
    largest = max(etas)
    return f"eta {largest:g} is too large; the largest is {LARGEST:g}" if largest > LARGEST else ""
