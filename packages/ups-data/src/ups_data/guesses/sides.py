"""Guesses the boundary of an axis from values: periodic, fixed values, or neither."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FIXED = 1e-2
"""Largest change of a fixed end over time, relative to the difference of its neighbours."""
REPEATED = 1e-5
"""Largest difference of the ends where one point is stored twice, relative to that of neighbours."""
SMALL = 0.25
"""Largest value at an end that is zero up to a fraction of a spacing, relative to all values."""
SMOOTH = 2.5
"""Largest jump and largest bend across a seam, relative to those of the neighbours."""

Guessed = tuple[str | tuple[str, str], str]
"""One word, or one for each end; and why."""


def guess_sides(frames: NDArray[Any], axis: int) -> Guessed:
    """The boundary of one axis of space.

    Args:
        frames: some trajectories `(n, T, C, *S)`.
        axis: number of the axis of space.
    """
    values = np.moveaxis(frames.astype(np.float64), 3 + axis, -1)
    if values.shape[-1] < 5:
        return "open", "too few points to compare; periodic, dirichlet, neumann and wall are others"
    low, high = _end(values), _end(values[..., ::-1])
    what = "keep one value over time" if frames.shape[1] > 1 else "are close to 0"
    if low == high == "dirichlet":
        return "dirichlet", f"the values at both ends {what}"
    seam, inside = _rms(values[..., 0] - values[..., -1]), _largest(values, 1)
    if seam <= REPEATED * inside:
        return "periodic", "the last point repeats the first; better store the axis without it"
    bend, bends = _seam_bend(values), _largest(values, 2)
    if seam <= SMOOTH * inside and bend <= SMOOTH * bends:
        ratio = seam / inside if inside else 0.0
        return (
            "periodic",
            f"the jump from the last point to the first is {ratio:.2g} of that between neighbours",
        )
    jump = f"not periodic: a jump of {seam:.2g} from the last point to the first"
    if inside:
        jump += f", {inside:.2g} between neighbours"
    if "dirichlet" in (low, high):
        end = "low" if low == "dirichlet" else "high"
        not_so = "change" if frames.shape[1] > 1 else "are not"
        return (low, high), f"the values at the {end} end {what}, those at the other end {not_so}"
    return "open", f"{jump}; neumann and wall are others"


def _end(values: NDArray[Any]) -> str:
    """The boundary at the low end, if it is not periodic."""
    first, second = values[..., 0], values[..., 1]
    if values.shape[1] > 1:
        moving = _rms(first - first.mean(axis=1, keepdims=True))
        inside = _rms(second - second.mean(axis=1, keepdims=True))
        return "dirichlet" if moving <= FIXED * inside else "open"
    # The value may be 0 up to a spacing beyond the last point, to which a line or a parabola continues it.
    bend = first - 2 * second + values[..., 2]
    steps = [first + part * (first - second) for part in (0, 0.5, 1)]
    curves = [step + part * bend for step, part in zip(steps, (0, 0.375, 1), strict=True)]
    return "dirichlet" if min(map(_rms, (*steps, *curves))) <= SMALL * _rms(values) else "open"


def _largest(values: NDArray[Any], order: int) -> float:
    """The largest difference of this order near the ends."""
    steps = np.diff(values[..., :5], order), np.diff(values[..., -5:], order)
    return max(_rms(step[..., place]) for step in steps for place in range(step.shape[-1]))


def _seam_bend(values: NDArray[Any]) -> float:
    """The largest second difference across the seam."""
    seam = np.concatenate([values[..., -2:], values[..., :2]], axis=-1)
    bends = np.diff(seam, 2)
    return max(_rms(bends[..., 0]), _rms(bends[..., 1]))


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
