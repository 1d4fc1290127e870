"""The device that a simulator runs on."""

from __future__ import annotations

import torch

from ups_core import UPSError


def choose_device(accelerator: str, option: str = "trainer.accelerator") -> torch.device:
    """The device that an option names: `auto`, `cpu`, `gpu` or `mps`.

    Args:
        accelerator: the name.
        option: of a spec or a command, for the message.

    Raises:
        UPSError: this machine has no such device.
    """
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if accelerator in ("gpu", "mps"):
        raise UPSError(f"{option} is '{accelerator}', but this machine has none; use 'auto' or 'cpu'")
    return torch.device("cpu")


def device_of(module: torch.nn.Module) -> torch.device:
    """The device of a module's tensors; the CPU for a module without tensors."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")
