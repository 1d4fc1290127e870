"""The closure that torch's optimizers may be given: what computes loss and gradients before an update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def evaluate(closure: Callable[[], Any] | None) -> Any:
    """The loss, with gradients even where they are switched off; None without a closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()
