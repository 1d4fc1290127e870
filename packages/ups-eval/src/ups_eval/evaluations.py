"""How often a simulator evaluates its networks: what a prediction costs on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from ups_models.network import Network, NetworkInput
from ups_models.simulator import Simulator


class EvaluationCount:
    """Evaluations of a network for one sample.

    Attributes:
        samples: so far.
    """

    def __init__(self) -> None:
        self.samples = 0

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count a forward pass of a network."""
        given = next(part for part in (*inputs, *kwargs.values()) if isinstance(part, NetworkInput))
        self.samples += len(given.dt)


@contextmanager
def counted(simulator: Simulator) -> Iterator[EvaluationCount]:
    """Count the evaluations of all networks of a simulator while the block runs.

    Not seen are those of a rollout in the latent space, which does not evaluate the network as a whole.
    """
    count = EvaluationCount()
    networks = {id(module): module for module in simulator.modules() if isinstance(module, Network)}
    hooks = [module.register_forward_pre_hook(count, with_kwargs=True) for module in networks.values()]
    try:
        yield count
    finally:
        for hook in hooks:
            hook.remove()
