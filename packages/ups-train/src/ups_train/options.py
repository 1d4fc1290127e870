"""Options of losses and trackers, free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from ups_core import Config


class LossConfig(Config):
    """Options that every loss has."""

    weight: NonNegativeFloat = 1.0
    """Factor in the sum of losses."""


class H1Config(LossConfig):
    """Options of the H1 loss."""

    slope: NonNegativeFloat = 0.01
    """Weight of the squared slopes beside the squared values; 1 is the H1 norm."""


class CSVConfig(Config):
    """`metrics.csv` beside the step's other files; there are no options."""


class WandbConfig(Config):
    """Weights and Biases; needs `pip install 'ups-train[wandb]'`."""

    project: str = "ups"
    """Project that the run belongs to."""
    entity: str | None = None
    """Team; default: the account's own."""
    tags: list[str] = []
    """Tags of the run."""
    mode: Literal["online", "offline"] = "offline"
    """`offline` writes below the step's directory; `wandb sync` uploads it later."""
