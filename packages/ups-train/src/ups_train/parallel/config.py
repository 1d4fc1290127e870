"""Options of strategies and of the launcher `torchrun`, free of torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from ups_core import LauncherConfig, StrategyConfig


class SeveralDevicesConfig(StrategyConfig):
    """A strategy for at least two devices."""

    min_devices: ClassVar[int] = 2


class SingleConfig(StrategyConfig):
    """One device, one process."""

    max_devices: ClassVar[int | None] = 1


class DDPConfig(SeveralDevicesConfig):
    """Distributed data parallel."""

    bucket_mb: PositiveFloat = 25.0
    """Megabytes of gradients that are averaged together."""


class Fsdp2Config(SeveralDevicesConfig):
    """Fully sharded data parallel."""

    offload: bool = False
    """Whether the shards of weights, gradients and optimizer state are in CPU memory, where the optimizer
    steps too; needs GPUs."""

    @property
    def needs_gpu(self) -> bool:
        """Offloading means a copy from a GPU."""
        return self.offload


class DeepSpeedConfig(SeveralDevicesConfig):
    """DeepSpeed ZeRO through Lightning; needs `pip install 'ups-train[deepspeed]'`."""

    splits_matrices: ClassVar[bool] = True

    zero: Literal[1, 2, 3] = 2
    """ZeRO stage: what is sharded is 1 the optimizer's state, 2 gradients too, 3 parameters too."""


class TorchrunConfig(LauncherConfig):
    """Processes of this machine by torch elastic."""

    restarts: Annotated[int, Field(ge=0)] = 0
    """How many times all processes are restarted from the last checkpoint when one fails."""
