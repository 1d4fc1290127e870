"""Options of losses, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeFloat

from ups_core import LossConfig


class H1Config(LossConfig):
    """Options of the H1 loss."""

    slope: NonNegativeFloat = 0.01
    """Weight of the squared slopes beside the squared values; 1 is the H1 norm."""


class MeanSquareConfig(LossConfig):
    """Options of the mean square error."""

    pointwise: ClassVar[bool] = True


class ResidualLossConfig(LossConfig):
    """Options of the residual loss."""

    norm: Literal["error", "residual"] | None = None
    """`residual`: the residual itself; `error`: the error that a multigrid cycle estimates from it, for tasks
    with such a solver (Darcy). Default: `error` where that is defined."""

    def check(self, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Tasks none of which has such a solver."""
        useful = ("iterative",) if self.norm == "error" else ("iterative", "differentiable")
        if any(task.solver in ("unknown", *useful) for task in tasks.values()):
            return ()
        what = "an iterative solver" if self.norm == "error" else "a solver with gradients"
        return [("kind", f"no task ({', '.join(tasks)}) has {what}; remove the loss")]


class InvariantsConfig(LossConfig):
    """Options of the loss of invariants: there are none."""

    def check(self, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Tasks none of which conserves anything."""
        if any(task.invariants for task in tasks.values()):
            return ()
        return [("kind", f"{', '.join(tasks)} declare no invariants; remove the loss")]


class BoundsConfig(LossConfig):
    """Options of the loss of bounds."""

    maximum_principle: bool = False
    """Whether values of an evolution must stay between the smallest and the largest of the given frame, as in
    advection and Burgers' equation without forcing."""

    def check(self, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Tasks without any bound."""
        positive = any(task.positive_targets for task in tasks.values())
        bounded = self.maximum_principle and any(task.kind == "evolution" for task in tasks.values())
        if positive or bounded:
            return ()
        return [("kind", f"{', '.join(tasks)} declare no positive channels; remove the loss")]
