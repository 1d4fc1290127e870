"""Optimizers: AdamW, and Muon for hidden matrices with AdamW for the rest behind one interface.

Every parameter that needs a gradient is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ups_train.config import AdamWConfig, MuonHybridConfig
from ups_train.muon import Float32Muon

NamedParameters = Iterable[tuple[str, nn.Parameter]]


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that need a gradient, each parameter once."""
    return [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]


def adamw(config: AdamWConfig, module: nn.Module) -> torch.optim.Optimizer:
    """AdamW without decay on norms and biases."""
    return _adamw(config, trainable(module))


def _adamw(config: AdamWConfig, parameters: NamedParameters) -> torch.optim.AdamW:
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for _, weight in parameters:
        (decayed if weight.dim() > 1 else plain).append(weight)
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((decayed, config.weight_decay), (plain, 0.0)) if group
    ]  # fmt: skip
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)


def is_muon_matrix(name: str, weight: Tensor, exclude: Sequence[str]) -> bool:
    """Whether Muon may update a parameter: a real hidden matrix with more than one row and column."""
    hidden = not any(part in name for part in exclude)
    return hidden and weight.dim() == 2 and min(weight.shape) > 1 and not weight.is_complex()


def muon_hybrid(config: MuonHybridConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Muon for hidden matrices (see :func:`is_muon_matrix`), AdamW for everything else."""
    matrices: list[tuple[str, nn.Parameter]] = []
    others: list[tuple[str, nn.Parameter]] = []
    for name, weight in trainable(module):
        (matrices if is_muon_matrix(name, weight, config.exclude) else others).append((name, weight))
    parts: list[torch.optim.Optimizer] = []
    if matrices:
        # A CPU's bfloat16 products may be emulated: see ups_train.muon.
        muon = Float32Muon if matrices[0][1].device.type == "cpu" else torch.optim.Muon
        parts.append(
            muon(
                [weight for _, weight in matrices],
                lr=config.lr,
                weight_decay=config.weight_decay,
                momentum=config.momentum,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if others:
        parts.append(_adamw(config, others))
    return CombinedOptimizer(parts)


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimizers as one: a scheduler, a checkpoint and Lightning see a single object."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]):
        self.parts = list(parts)
        super().__init__(self._groups(), {})

    def _groups(self) -> list[dict[str, Any]]:
        """The parts' own group objects, so that a learning rate set here reaches them."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Evaluate the closure once, then let every part update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The parts' states in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()
