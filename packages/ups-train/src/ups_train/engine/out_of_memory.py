"""Out-of-memory recovery: training resumes from its last checkpoint with smaller micro-batches.

The number of micro-batches per batch is doubled, so the effective batch, the loss and the random draws stay
the same. `memory.json` beside the checkpoints keeps the number, for all ranks, for later resumes and for the
user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ups_core import UPSError
from ups_core.reading import UnsoundFile
from ups_core.sealed import read_sealed, write_sealed
from ups_train.parallel.ranks import Ranks

FILE = "memory.json"
FAILURES_BEFORE_ADVICE = 2
"""Failures after which the message also says how to avoid the retries."""


class OutOfMemory(UPSError):
    """A batch does not fit, and cannot be split further."""


def read_micro_batches(directory: Path) -> int:
    """Number of micro-batches per batch of the training in this directory."""
    return int(read_memory(directory).get("micro_batches", 1))


def write_micro_batches(directory: Path, micro_batches: int, reason: str) -> None:
    """Make the training in this directory start with this number of micro-batches per batch."""
    write_sealed(directory / FILE, {"micro_batches": micro_batches, "reason": reason, "failures": []})


def read_memory(directory: Path) -> dict[str, Any]:
    """What is on record; nothing if that is damaged: it is only about memory, and is found out again."""
    try:
        return read_sealed(directory / FILE)
    except UnsoundFile:
        return {}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised it because memory ran out; on a CPU that is a plain `RuntimeError`."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def split_further(directory: Path, micro_batches: int, batch_size: int, ranks: Ranks) -> str:
    """Double the micro-batches after a failure with `micro_batches` of them; returns a message for users.

    Args:
        batch_size: samples of a rank's complete batch.

    Raises:
        OutOfMemory: a micro-batch has one sample already.
    """
    where = "out of memory" + (f" on rank {ranks.rank}" if ranks.world > 1 else "")
    if micro_batches >= batch_size:
        raise OutOfMemory(
            f"{where} with a single sample per micro-batch; use a smaller model, a coarser resolution, less "
            "unroll, recompute: true, or strategy: fsdp2 on several devices"
        )
    failures = [
        *read_memory(directory).get("failures", []),
        {"rank": ranks.rank, "micro_batches": micro_batches},
    ]
    doubled = 2 * micro_batches
    known = {"micro_batches": doubled, "reason": "out of memory", "failures": failures}
    write_sealed(directory / FILE, known)
    line = (
        f"{where}: batches of {batch_size} are now split into {doubled} micro-batches, accumulating gradients"
    )
    if len(failures) >= FAILURES_BEFORE_ADVICE:
        line += f"; recompute: true or batch_size: {max(1, batch_size // doubled)} would avoid the retries"
    return line
