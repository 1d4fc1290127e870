"""What happens when memory runs out: training goes on from its last checkpoint with smaller micro-batches.

The number of parts that a batch comes in is doubled and with it the number of micro-batches per optimizer
step, so the effective batch, the loss and the random draws stay the same. `memory.json` beside the
checkpoints keeps the number, for all ranks, for later resumes and for the reader.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ups_core import UPSError
from ups_core.files import read_json, write_json
from ups_train.parallel.ranks import Ranks

FILE = "memory.json"
ADVICE = 2
"""Failures after which more than halving is called for."""
HOOK = "UPS_SIMULATE_OOM"
"""`STEP_ID:RANK:STEP[:PARTS]`: raise an out-of-memory error there, as long as batches come in no more than
`PARTS` parts (default: 1). For tests."""


class OutOfMemory(UPSError):
    """A batch does not fit, and cannot be split further."""


def parts_of(directory: Path) -> int:
    """How many parts a batch of the training in this directory comes in."""
    return int((read_json(directory / FILE) or {}).get("parts", 1))


def keep_parts(directory: Path, parts: int, reason: str) -> None:
    """Let the training in this directory start with batches in so many parts."""
    write_json(directory / FILE, {"parts": parts, "reason": reason, "failures": []})


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised it because memory ran out; on a CPU that is a plain `RuntimeError`."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def split_further(directory: Path, parts: int, batch_size: int, ranks: Ranks) -> str:
    """Double the parts after a failure with `parts` of them; returns a line for people.

    Args:
        batch_size: samples of a rank's whole batch.

    Raises:
        OutOfMemory: a micro-batch has one sample already.
    """
    where = "out of memory" + (f" on rank {ranks.rank}" if ranks.world > 1 else "")
    if parts >= batch_size:
        raise OutOfMemory(
            f"{where} with a single sample per micro-batch; use a smaller model, a coarser resolution, less "
            "unroll, recompute: true, or strategy: fsdp2 on several devices"
        )
    known: dict[str, Any] = read_json(directory / FILE) or {"failures": []}
    failures = [*known["failures"], {"rank": ranks.rank, "parts": parts}]
    write_json(directory / FILE, {"parts": 2 * parts, "reason": "out of memory", "failures": failures})
    line = f"{where}: batches of {batch_size} now come in {2 * parts} parts, whose gradients are added up"
    if len(failures) >= ADVICE:
        line += f"; recompute: true or batch_size: {max(1, batch_size // (2 * parts))} would save the retries"
    return line


def simulate(step_id: str, ranks: Ranks, step: int, parts: int) -> None:
    """Raise an out-of-memory error where the environment asks for one."""
    wanted = os.environ.get(HOOK)
    if not wanted:
        return
    name, rank, number, *most = wanted.split(":")
    if (name, int(rank), int(number)) == (step_id, ranks.rank, step) and parts <= int(most[0] if most else 1):
        raise torch.OutOfMemoryError("simulated: out of memory")
