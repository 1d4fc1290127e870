"""A toy evolution of one field on a unit grid, for checks of what a task declares."""

from __future__ import annotations

from ups_data.info import Boundary, Channel, Invariant, Symmetry, TaskInfo


def flow(
    *,
    invariants: tuple[Invariant, ...] = (),
    symmetries: tuple[Symmetry, ...] = (),
    dim: int = 1,
    boundary: Boundary = "periodic",
    cells: int = 32,
) -> TaskInfo:
    """Six frames of u, of which one is given, on `cells` per axis."""
    return TaskInfo(
        name="flow",
        family="toy",
        kind="evolution",
        channels=(Channel("u", "1", "state"),),
        parameters=(),
        boundary=boundary,
        domain=((0.0, 1.0),) * dim,
        shape=(cells,) * dim,
        dt=0.1,
        frames=6,
        history=1,
        invariants=invariants,
        equation="u_t = 0",
        symmetries=symmetries,
    )
