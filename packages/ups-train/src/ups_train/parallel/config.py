"""Options of strategies, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveFloat

from ups_core import Config


class StrategyConfig(Config):
    """A strategy without options."""

    splits_matrices: ClassVar[bool] = False
    """True where a process gets pieces of flattened parameters (ZeRO, FSDP1), which Muon cannot work on."""


class SeveralDevicesConfig(StrategyConfig):
    """A strategy that makes no sense on one device."""

    min_devices: ClassVar[int] = 2


class SingleConfig(StrategyConfig):
    """One device, one process."""

    max_devices: ClassVar[int] = 1


class DDPConfig(SeveralDevicesConfig):
    """Distributed data parallel."""

    bucket_mb: PositiveFloat = 25.0
    """Megabytes of gradients that are averaged in one message."""


class Fsdp2Config(SeveralDevicesConfig):
    """Fully sharded data parallel."""

    offload: bool = False
    """Whether the shards of weights, gradients and optimizer state live in the hosts' memory, where the
    optimizer steps too; needs GPUs."""


class DeepSpeedConfig(SeveralDevicesConfig):
    """DeepSpeed ZeRO through Lightning; needs `pip install 'ups-train[deepspeed]'`."""

    splits_matrices: ClassVar[bool] = True

    zero: Literal[1, 2, 3] = 2
    """ZeRO stage: what is sharded is 1 the optimizer's state, 2 gradients too, 3 parameters too."""
