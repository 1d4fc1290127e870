"""The precision of the spec as Lightning's and torch's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from ups_core.trainer import TrainerSpec


def lightning_precision(trainer: TrainerSpec) -> Any:
    """Lightning's precision for the spec's: `auto` takes bf16 if the GPU supports it."""
    if trainer.precision == "auto":
        gpu = trainer.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        return "bf16-mixed" if gpu and torch.cuda.is_bf16_supported() else "32-true"
    return "32-true" if trainer.precision in (32, "tf32") else trainer.precision


def autocast(trainer: TrainerSpec, device: torch.device) -> AbstractContextManager[Any]:
    """The context that Lightning's precision runs a network in."""
    name = lightning_precision(trainer)
    dtype = torch.float16 if name.startswith("16") else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=name.endswith("mixed"))
