"""L-BFGS for many independent functions at once, which share evaluations but neither steps nor stops.

`torch.optim.LBFGS` and scipy minimise one function. For a batch, the line search and the stop would be those
of all samples together; one by one, a small solve of the equation is mostly overhead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

Function = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Places `(N, K)` of the functions with numbers `(N,)` to their values `(N,)` and gradients `(N, K)`."""

HISTORY = 20
"""Pairs of steps and changes of the gradient that are kept."""
DECREASE = 1e-4
"""Share of the decrease along the gradient that a step must have (Armijo's condition)."""
SHRINK = (0.1, 0.5)
"""Smallest and largest factor from one trial of a step to the next."""
TRIALS = 12
"""Trials of a step; without one that decreases a function, it is at its minimum."""
CHANGE = 1e-7
"""Decrease of a function, relative to its value, at which it is at its minimum."""
CURVED = 1e-8
"""Cosine of step and change of the gradient below which the pair is not used."""


def minimise(function: Function, start: Tensor, iterations: int) -> Tensor:
    """Local minima `(B, K)` of B functions of K variables.

    Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 3.1, steps by quadratic
    interpolation. The result of a function does not depend on the others.

    Args:
        function: values and gradients.
        start: where to begin `(B, K)`.
        iterations: maximum number for every function.
    """
    place = start.clone()
    running = torch.arange(len(start))
    value, gradient = function(place, running)
    pairs: deque[tuple[Tensor, Tensor]] = deque(maxlen=HISTORY)
    for number in range(iterations):
        direction = -_preconditioned(gradient[running], [(s[running], y[running]) for s, y in pairs])
        length = torch.ones_like(value[running]) if number else _first_step(gradient[running])
        before = place.clone(), value.clone(), gradient.clone()
        stepped = _line_search(function, running, direction, length, place, value, gradient)
        pairs.append((place - before[0], gradient - before[2]))
        small = before[1] - value <= CHANGE * before[1].abs()
        running = running[stepped & ~small[running]]
        if not len(running):
            break
    return place


def _first_step(gradient: Tensor) -> Tensor:
    """Lengths `(N,)` of steps along gradients `(N, K)` of which no curvature is known."""
    length: Tensor = 1 / gradient.norm(dim=1).clamp(min=1.0)
    return length


def _line_search(
    function: Function,
    running: Tensor,
    direction: Tensor,
    length: Tensor,
    place: Tensor,
    value: Tensor,
    gradient: Tensor,
) -> Tensor:
    """Step along directions `(N, K)` of the running functions `(N,)`, in place; which ones found a step."""
    slope = (direction * gradient[running]).sum(dim=1)
    origin, least = place[running], value[running]
    searching = slope < 0
    stepped = torch.zeros_like(searching)
    for _ in range(TRIALS):
        trying = searching.nonzero()[:, 0]
        if not len(trying):
            break
        tried = origin[trying] + length[trying, None] * direction[trying]
        found, slopes = function(tried, running[trying])
        linear = length[trying] * slope[trying]
        enough = found <= least[trying] + DECREASE * linear
        done = running[trying[enough]]
        place[done], value[done], gradient[done] = tried[enough], found[enough], slopes[enough]
        stepped[trying[enough]] = True
        searching[trying[enough]] = False
        # The minimum of the parabola through both values and the slope; of infinity the smallest step.
        factor = (-linear / (2 * (found - least[trying] - linear))).nan_to_num(nan=SHRINK[0])
        length[trying] *= factor.clamp(*SHRINK)
    return stepped


def _preconditioned(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Gradients `(N, K)` times approximate inverses of the Hessians, by the two-loop recursion."""
    found, applied = gradient.clone(), []
    scale = torch.ones_like(gradient[:, :1])
    for step, change in pairs:
        product = (step * change).sum(dim=1, keepdim=True)
        norms = step.norm(dim=1, keepdim=True) * change.norm(dim=1, keepdim=True)
        curved = product > CURVED * norms
        inverse = torch.where(curved, 1 / product, 0.0)
        scale = torch.where(curved, product / change.square().sum(dim=1, keepdim=True), scale)
        applied.append((step, change, inverse))
    weights = []
    for step, change, inverse in reversed(applied):
        weight = inverse * (step * found).sum(dim=1, keepdim=True)
        found = found - weight * change
        weights.append(weight)
    found = scale * found
    for (step, change, inverse), weight in zip(applied, reversed(weights), strict=True):
        found = found + (weight - inverse * (change * found).sum(dim=1, keepdim=True)) * step
    return found
