"""Options of experiment trackers, free of torch."""

from __future__ import annotations

from typing import Literal

from ups_core import TrackerConfig


class CSVConfig(TrackerConfig):
    """`metrics.csv` beside the step's other files; there are no options."""


class WandbConfig(TrackerConfig):
    """Weights and Biases; needs `pip install 'ups-train[wandb]'`."""

    project: str = "ups"
    """Project that the run belongs to."""
    entity: str | None = None
    """Team; default: the account's own."""
    tags: list[str] = []
    """Tags of the run."""
    mode: Literal["online", "offline"] = "offline"
    """`offline` writes below the step's directory; `wandb sync` uploads it later."""
