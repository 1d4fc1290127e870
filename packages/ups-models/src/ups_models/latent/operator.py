"""The latent operator: one network that advances or solves every task of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.config import LatentOperatorConfig
from ups_models.latent.codec import Codec
from ups_models.latent.conditioning import Conditioner
from ups_models.latent.linear_propagator import LinearPropagator
from ups_models.latent.trunk import build_trunk
from ups_models.network import LatentNetwork, NetworkInput, module_key


class Latent(NamedTuple):
    """What the operator advances.

    Attributes:
        state: the normalised state `(B, C, *S)`; decoding is reading it. None for a steady task.
        features: `(B, *S, F)`, what else the operator knows about the fields.
    """

    state: Tensor | None
    features: Tensor


class LatentOperator(LatentNetwork):
    """Encode; move by the fitted linear propagator; transform under the condition; decode the rest of the
    change.

    The decoder starts at zero with nothing after it, so the operator starts as persistence, and after the fit
    of :meth:`initialise` as the best linear, translation-invariant model of the training data where that is a
    good one.
    """

    def __init__(self, config: LatentOperatorConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__()
        self.tasks = dict(tasks)
        self.codec = Codec(tasks, config.local_width)
        self.condition = Conditioner(tasks, config.condition_width)
        self.trunk = build_trunk(config, sorted({task.dim for task in tasks.values()}))
        self.propagators = nn.ModuleDict(
            {
                module_key(name): LinearPropagator(task)
                for name, task in tasks.items()
                if task.kind == "evolution" and task.boundary == "periodic"
            }
        )

    def encode(self, x: NetworkInput) -> Latent:
        """Fields to latent."""
        task = self.tasks[x.task]
        features = self.codec.encode(x.task, x.fields, x.coords)
        if task.kind == "steady":
            return Latent(None, features)
        channels, last = len(task.state_channels), (task.history - 1) * len(task.state_channels)
        return Latent(x.fields[:, last : last + channels], features)

    def advance(self, latent: Latent, x: NetworkInput) -> Latent:
        """The latent one frame later, or a steady task's solution as its state; `x` gives the conditions."""
        periodic = self.tasks[x.task].boundary == "periodic"
        state, features = latent
        propagator = self._propagator(x.task)
        if state is not None and propagator is not None and propagator.active:
            state = propagator(state, x.params, x.dt)
            features = propagator.shared(features.movedim(-1, 1), x.params, x.dt).movedim(1, -1)
        hidden = self.trunk(features, self.condition(x), periodic)
        out = self.codec.decode(x.task, hidden)
        if state is None:
            return Latent(out, features)
        return Latent(state + x.increment * out, self.codec.carry(x.task, features, hidden))

    def decode(self, latent: Latent, x: NetworkInput) -> Tensor:
        """The normalised state or solution `(B, Cout, *S)`."""
        assert latent.state is not None
        return latent.state

    def forward(self, x: NetworkInput) -> Tensor:
        """See :class:`Network`."""
        before = self.encode(x)
        after = self.decode(self.advance(before, x), x)
        return after if before.state is None else (after - before.state) / x.increment

    def initialise(self, x: NetworkInput, target: Tensor) -> None:
        """Fit the linear propagator of a task; see :mod:`ups_models.latent.linear_propagator`."""
        propagator, state = self._propagator(x.task), self.encode(x).state
        if propagator is not None and state is not None:
            propagator.fit(state, target, x.params, x.dt)

    def _propagator(self, task: str) -> LinearPropagator | None:
        """That of a periodic evolution; other tasks have none."""
        found = dict(self.propagators.items()).get(module_key(task))
        assert found is None or isinstance(found, LinearPropagator)
        return found
