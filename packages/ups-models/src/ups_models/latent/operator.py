"""The latent operator: one network that advances or solves every task of a spec."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ups_data.task import TaskInfo
from ups_models.config import LatentOperatorConfig
from ups_models.latent.codec import Codec
from ups_models.latent.conditioning import Conditioner, Position
from ups_models.latent.trunk import build_trunk
from ups_models.network import Network, NetworkInput


class LatentOperator(Network):
    """Encode, transform the latent tokens under the condition, decode.

    Tasks of different dimension share the trunk's matrices, conditioning and codec as far as shapes allow.
    The last projection starts at zero with nothing after it, so the operator starts as persistence.
    """

    def __init__(self, config: LatentOperatorConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__()
        self.periodic = {name: task.boundary == "periodic" for name, task in tasks.items()}
        self.codec = Codec(tasks, config.width, config.local_width, config.patch)
        self.condition = Conditioner(tasks, config.width)
        self.position = Position(config.width)
        self.trunk = build_trunk(config, sorted({task.dim for task in tasks.values()}))

    def forward(self, x: NetworkInput) -> Tensor:
        """See :class:`Network`."""
        periodic = self.periodic[x.task]
        tokens, features = self.codec.encode(x.task, x.fields)
        tokens = self.trunk(tokens if periodic else self.position(tokens), self.condition(x), periodic)
        return self.codec.decode(x.task, tokens, features)
