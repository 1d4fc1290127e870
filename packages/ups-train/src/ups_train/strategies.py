"""Parallel strategies: what Lightning's Trainer gets for `strategy`."""

from __future__ import annotations

from ups_train.config import AutoStrategyConfig


def auto(config: AutoStrategyConfig, devices: int) -> str:
    """One device: none needed."""
    return "auto"
