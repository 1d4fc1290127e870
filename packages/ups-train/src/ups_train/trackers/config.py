"""Options of experiment trackers, free of torch."""

from __future__ import annotations

from typing import Literal

from ups_core import TrackerConfig


class CSVConfig(TrackerConfig):
    """`metrics.csv` in the step's directory; no options."""


class WandbConfig(TrackerConfig):
    """Weights and Biases; needs `pip install 'ups-train[wandb]'`."""

    project: str = "ups"
    """Project that the run belongs to."""
    entity: str | None = None
    """Team; default: that of the account."""
    tags: list[str] = []
    """Tags of the run."""
    mode: Literal["online", "offline"] = "offline"
    """`offline` writes to the step's directory; `wandb sync` uploads it later."""
