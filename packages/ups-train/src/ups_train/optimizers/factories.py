"""Optimizers: Adam, AdamW, SGD, and Muon for hidden matrices with AdamW for the rest behind one interface.

Every parameter that needs a gradient is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ups_train.optimizers.combined import CombinedOptimizer
from ups_train.optimizers.config import AdamConfig, AdamWConfig, MuonHybridConfig, SGDConfig
from ups_train.optimizers.groups import assign, decays, trainable
from ups_train.optimizers.muon import Float32Muon


def adam(config: AdamConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Adam without decay."""
    return torch.optim.Adam([weight for _, weight in trainable(module)], lr=config.lr, betas=config.betas)


def adamw(config: AdamWConfig, module: nn.Module) -> torch.optim.Optimizer:
    """AdamW without decay on norms and biases."""
    groups = _by_decay((weight for _, weight in trainable(module)), config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)


def sgd(config: SGDConfig, module: nn.Module) -> torch.optim.Optimizer:
    """SGD without decay on norms and biases."""
    groups = _by_decay((weight for _, weight in trainable(module)), config.weight_decay)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)


def muon_hybrid(config: MuonHybridConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Muon and AdamW on the groups of :func:`ups_train.optimizers.groups.assign`.

    Raises:
        UPSError: a group gets nothing, or a parameter is in no group.
    """
    muon: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    for group, parameters in assign(config, module):
        weights = [weight for _, weight in parameters]
        decay = config.weight_decay if group.weight_decay is None else group.weight_decay
        parts = _by_decay(weights, decay)
        if group.lr is not None:
            parts = [part | {"lr": group.lr} for part in parts]
        (muon if group.optimizer == "muon" else other).extend(parts)
    parts_: list[torch.optim.Optimizer] = []
    if muon:
        # A CPU's bfloat16 products may be emulated: see ups_train.optimizers.muon.
        kind = Float32Muon if muon[0]["params"][0].device.type == "cpu" else torch.optim.Muon
        parts_.append(kind(muon, lr=config.lr, momentum=config.momentum, adjust_lr_fn=config.adjust_lr))
    if other:
        parts_.append(torch.optim.AdamW(other, lr=config.lr, betas=config.betas))
    return CombinedOptimizer(parts_)


def _by_decay(weights: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Parameter groups of what decays and what does not."""
    weights = list(weights)
    split = ([w for w in weights if decays(w)], decay), ([w for w in weights if not decays(w)], 0.0)
    return [{"params": part, "weight_decay": value} for part, value in split if part]
