"""torch.compile for a network, with the measured speed-up for the record."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_train.engine.config import CompileConfig
from ups_train.parallel.sharding import is_sharded

Loss = Callable[[FieldBatch], Tensor]
REPEATS = 5


def compile_network(
    config: CompileConfig, network: nn.Module, batches: Sequence[FieldBatch], loss: Loss
) -> dict[str, Any]:
    """Compile the network in place; measure a forward and backward pass of every task before and after.

    Weights and gradients are unchanged.

    Args:
        batches: one of each task, on the network's device.
        loss: of a batch, in the precision of the training.

    Returns:
        `compiled`; `speedup`, `seconds` (of compiling) and `graph_breaks` if compiled, else `reason`.

    Raises:
        UPSError: the policy is `require` and compiling failed.
    """
    eager = _seconds(network, batches, loss)
    torch.compiler.reset()  # or shapes that an earlier training of this process varied would be dynamic here
    torch._dynamo.utils.counters.clear()
    network.compile(mode=config.mode)
    begin = time.perf_counter()
    try:
        with _plain_errors():
            _passes(network, batches, loss)
            taken = time.perf_counter() - begin
            compiled = _seconds(network, batches, loss)
    except Exception as error:
        network._compiled_call_impl = None  # torch has no public way back to the uncompiled module
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        if config.policy == "require":
            raise UPSError(f"cannot compile the network ({reason}); set compile.policy to allow") from error
        return {"compiled": False, "reason": reason}
    return {
        "compiled": True,
        "mode": config.mode,
        "speedup": round(eager / compiled, 3),
        "seconds": round(taken, 1),
        "graph_breaks": sum(torch._dynamo.utils.counters["graph_break"].values()),
    }


def _seconds(network: nn.Module, batches: Sequence[FieldBatch], loss: Loss) -> float:
    """Median time of a pass over the batches, after a first one that warms up."""
    times = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        _passes(network, batches, loss)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def _passes(network: nn.Module, batches: Sequence[FieldBatch], loss: Loss) -> None:
    """A forward and backward pass of every batch; gradients are discarded."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for batch in batches:
        value = loss(batch)
        if any(map(is_sharded, weights)):  # shards are not in the graph: the gathered parameters are
            value.backward()  # type: ignore[no-untyped-call]
            network.zero_grad()
        else:  # no hook of DDP runs
            torch.autograd.grad(value, weights, allow_unused=True)
        if value.is_cuda:
            torch.cuda.synchronize()


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise compiler errors: with `suppress_errors` dynamo would fall back to eager without a word."""
    before = torch._dynamo.config.suppress_errors
    torch._dynamo.config.suppress_errors = False
    try:
        yield
    finally:
        torch._dynamo.config.suppress_errors = before
