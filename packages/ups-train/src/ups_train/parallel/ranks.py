"""The rank of this process."""

from __future__ import annotations

import os
from typing import NamedTuple

from torch import distributed


class Ranks(NamedTuple):
    """This process's number and how many there are."""

    rank: int
    world: int

    @classmethod
    def of(cls, devices: int) -> Ranks:
        """From the launcher's environment variables; rank 0 of 1 if a step has one device."""
        if devices == 1:
            return cls(0, 1)
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", devices)))


def nodes() -> int:
    """Number of machines of the processes."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    return world // int(os.environ.get("LOCAL_WORLD_SIZE", world))


def leave_group() -> None:
    """Wait for the other processes, then close the connections to them."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
