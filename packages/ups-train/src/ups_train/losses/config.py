"""Options of losses, free of torch."""

from __future__ import annotations

from pydantic import NonNegativeFloat

from ups_core import LossConfig


class H1Config(LossConfig):
    """Options of the H1 loss."""

    slope: NonNegativeFloat = 0.01
    """Weight of the squared slopes beside the squared values; 1 is the H1 norm."""
