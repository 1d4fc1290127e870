"""Optimizers: Adam, AdamW, SGD, Muon, and groups of them behind one interface.

Every parameter is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ups_core import Component, OptimizerConfig
from ups_core.plugin_loader import registry_in_use
from ups_train.optimizers.combined import CombinedOptimizer
from ups_train.optimizers.config import (
    AdamConfig,
    AdamWConfig,
    GroupedConfig,
    MuonConfig,
    MuonHybridConfig,
    ParameterGroup,
    SGDConfig,
)
from ups_train.optimizers.cpu_adamw import CPUAdamW
from ups_train.optimizers.groups import Parameters, assign, decays
from ups_train.optimizers.muon import Float32Muon

NOT_HIDDEN = "lift|embed|head"
"""Names of first and last projections, which Muon leaves to AdamW; a model need not have all of these."""


def adam(config: AdamConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """Adam without decay."""
    return torch.optim.Adam(list(parameters.values()), lr=config.lr, betas=config.betas)


def adamw(config: AdamWConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """AdamW without decay on norms and biases."""
    groups = _by_decay(parameters.values(), config.weight_decay)
    kind = CPUAdamW if _on_cpu(parameters) else torch.optim.AdamW
    return kind(groups, lr=config.lr, betas=config.betas)


def sgd(config: SGDConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """SGD without decay on norms and biases."""
    groups = _by_decay(parameters.values(), config.weight_decay)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov)


def muon(config: MuonConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """Muon of matrices; in float32 on CPUs (:mod:`ups_train.optimizers.muon` says why)."""
    kind = Float32Muon if _on_cpu(parameters) else torch.optim.Muon
    return kind(
        list(parameters.values()),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        adjust_lr_fn=config.adjust_lr,
    )


def grouped(config: GroupedConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """The optimizer of every group as one.

    Raises:
        UPSError: a group gets nothing, or a parameter is in no group.
    """
    return _combine(config.groups, parameters, allow_empty=config.allow_empty)


def muon_hybrid(config: MuonHybridConfig, parameters: Parameters) -> torch.optim.Optimizer:
    """Muon and AdamW on the groups of :func:`groups_of`; a model without matrices gets AdamW alone."""
    return _combine(groups_of(config), parameters, allow_empty=True)


def groups_of(config: OptimizerConfig) -> list[ParameterGroup]:
    """The groups of `grouped`, or those that `muon_hybrid` stands for."""
    if isinstance(config, GroupedConfig):
        return config.groups
    assert isinstance(config, MuonHybridConfig)
    registry = registry_in_use()
    matrices = MuonConfig(
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        adjust_lr=config.adjust_lr,
    )
    rest = AdamWConfig(lr=config.lr, betas=config.betas, weight_decay=config.weight_decay)
    return [
        ParameterGroup(
            pattern=f"^(?!.*({NOT_HIDDEN}))",
            optimizer=Component(registry.get("optimizers", "muon"), matrices),
        ),
        ParameterGroup(pattern="", optimizer=Component(registry.get("optimizers", "adamw"), rest)),
    ]


def _combine(
    groups: list[ParameterGroup], parameters: Parameters, *, allow_empty: bool
) -> torch.optim.Optimizer:
    return CombinedOptimizer(
        [
            part.group.optimizer.create(parameters=part.parameters)
            for part in assign(groups, parameters, allow_empty=allow_empty)
        ]
    )


def _on_cpu(parameters: Parameters) -> bool:
    return next(iter(parameters.values())).device.type == "cpu"


def _by_decay(weights: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Parameter groups of what decays and what does not."""
    weights = list(weights)
    split = ([w for w in weights if decays(w)], decay), ([w for w in weights if not decays(w)], 0.0)
    return [{"params": part, "weight_decay": value} for part, value in split if part]
