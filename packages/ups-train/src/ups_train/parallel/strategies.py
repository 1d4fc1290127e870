"""Parallel strategies: what Lightning's Trainer gets for `strategy`."""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

import torch
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, ModelParallelStrategy, Strategy

from ups_core import StrategyConfig, UPSError
from ups_train.parallel.config import DDPConfig, DeepSpeedConfig, Fsdp2Config
from ups_train.parallel.sharding import is_sharded

STATE_BYTES = 16
"""Bytes per parameter in float32: itself, its gradient, Adam's two moments."""
SHARE = 0.5
"""Share of a device's memory that parameters and their state may take before they are sharded."""


class Choice(NamedTuple):
    """The strategy that `auto` takes, and why."""

    kind: str
    reason: str


def choose(devices: int, parameters: int) -> Choice:
    """The strategy for so many devices and trainable parameters."""
    if devices == 1:
        return Choice("single", "one device")
    size = STATE_BYTES * parameters
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        if size > SHARE * memory:
            return Choice(
                "fsdp2", f"parameters and their state take {size / 2**30:.1f} of {memory / 2**30:.1f} GiB"
            )
    return Choice("ddp", f"parameters and their state take {size / 2**30:.2f} GiB, kept on every device")


def auto(config: StrategyConfig, devices: int, parameters: int) -> Any:
    """The strategy that :func:`choose` names."""
    kind = choose(devices, parameters).kind
    if kind == "ddp":
        return ddp(DDPConfig(), devices, parameters)
    if kind == "fsdp2":
        return fsdp2(Fsdp2Config(), devices, parameters)
    return single(config, devices, parameters)


def single(config: StrategyConfig, devices: int, parameters: int) -> str:
    """One device needs no strategy."""
    return "auto"


def ddp(config: DDPConfig, devices: int, parameters: int) -> Strategy:
    """Every process has the complete model; gradients are averaged.

    A batch has one task, so the parameters of other tasks get no gradient: DDP has to search for them.
    """
    return DDPStrategy(
        process_group_backend=_backend(), find_unused_parameters=True, bucket_cap_mb=config.bucket_mb
    )


class Fsdp2Strategy(ModelParallelStrategy):
    """Parameters, gradients and optimizer state are sharded; checkpoints hold complete tensors in one file.

    Attributes:
        offload: whether the shards are in CPU memory. Norms and Muon's complete matrices are then computed
            there, so processes need a backend for CPU tensors too.
    """

    def __init__(self, devices: int, offload: bool) -> None:
        super().__init__(
            data_parallel_size=devices,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            process_group_backend="cpu:gloo,cuda:nccl" if offload and _backend() == "nccl" else _backend(),
        )
        self.offload = offload

    def model_to_device(self) -> None:
        """Move everything, or with `offload` only what is not sharded: shards stay in CPU memory."""
        if not self.offload:
            super().model_to_device()
            return
        assert self.model is not None
        self.model._apply(  # type: ignore[no-untyped-call]
            lambda tensor: tensor if is_sharded(tensor) else tensor.to(self.root_device)
        )


def fsdp2(config: Fsdp2Config, devices: int, parameters: int) -> Strategy:
    """Every process has a shard of everything."""
    return Fsdp2Strategy(devices, config.offload)


def deepspeed(config: DeepSpeedConfig, devices: int, parameters: int) -> Strategy:
    """ZeRO with DeepSpeed's own defaults."""
    if importlib.util.find_spec("deepspeed") is None:
        raise UPSError("the strategy 'deepspeed' needs DeepSpeed: pip install 'ups-train[deepspeed]'")
    return DeepSpeedStrategy(stage=config.zero)


def _backend() -> str:
    return "nccl" if torch.cuda.is_available() else "gloo"
