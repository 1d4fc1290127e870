"""The tests' plugin: a second objective, and a callback that runs out of memory on request.

It is installed by being on the path: its folder holds the metadata of a distribution.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from ups_core import CallbackConfig, Register, hookimpl
from ups_train.engine.config import TrainingConfig


class EnergyConfig(TrainingConfig):
    """Trains the network so that the mean square of its prediction is right, and nothing else."""

    produces: ClassVar[tuple[str, ...]] = ("energy",)

    @property
    def monitor(self) -> str:
        return "val/energy"


class OutOfMemoryConfig(CallbackConfig):
    """Raises an out-of-memory error in one step, as long as batches are split into few micro-batches."""

    rank: Annotated[int, Field(ge=0)] = 0
    """Rank that runs out of memory."""
    step: Annotated[int, Field(ge=0)] = 0
    """Optimizer step in which it does."""
    max_micro_batches: Annotated[int, Field(ge=1)] = 1
    """With more micro-batches per batch, memory suffices."""


@hookimpl
def ups_register_stages(register: Register) -> None:
    register(
        "test/energy", "ups_test_objective:energy", config=EnergyConfig, summary="mean squares of solutions"
    )


@hookimpl
def ups_register_callbacks(register: Register) -> None:
    register(
        "test/out_of_memory",
        "ups_test_objective:OutOfMemory",
        config=OutOfMemoryConfig,
        summary="runs out of memory",
    )
