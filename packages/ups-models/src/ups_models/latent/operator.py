"""The latent operator: one network that advances or solves every task of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ups_data.info import TaskInfo
from ups_models.config import LatentOperatorConfig
from ups_models.latent.codec import Codec
from ups_models.latent.conditioning import Conditioner
from ups_models.latent.linear_propagator import LinearPropagator
from ups_models.latent.trunk import build_trunk
from ups_models.network import LatentNetwork, NetworkInput, per_task


class Latent(NamedTuple):
    """What the operator advances.

    Attributes:
        state: the normalised state `(B, C, *S)`; decoding returns it. None for a steady task.
        features: what else the operator knows about the fields, `(B, *S, F)`.
    """

    state: Tensor | None
    features: Tensor


class LatentOperator(LatentNetwork):
    """Encode, advance by the fitted linear propagator, transform under the condition, decode the rest.

    The decoder starts at zero and nothing follows it, so the operator starts as persistence, and after the
    fit of :meth:`initialise` as the best linear, translation-invariant model of the training data if that
    model is a good one.

    Args:
        config: widths, depths and the kind of trunk.
        tasks: task name -> the problem, in 1, 2 or 3 dimensions.
    """

    noise_weights = ("condition.of_noise.",)

    def __init__(self, config: LatentOperatorConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.codec = Codec(tasks, config.local_width)
        self.noise = config.noise
        self.condition = Conditioner(tasks, config.condition_width, config.noise)
        self.trunk = build_trunk(config, sorted({task.dim for task in tasks.values()}))
        evolving = {name: task for name, task in tasks.items() if task.kind == "evolution"}
        periodic = {name: task for name, task in evolving.items() if all(task.periodic)}
        self.propagators = per_task(periodic, LinearPropagator)

    def encode(self, x: NetworkInput) -> Latent:
        """The latent of the newest given frame, or of a steady task's coefficients."""
        task = self.tasks[x.task]
        features = self.codec.encode(x.task, x.fields, x.coords)
        if task.kind == "steady":
            return Latent(None, features)
        channels, last = len(task.state_channels), (task.history - 1) * len(task.state_channels)
        return Latent(x.fields[:, last : last + channels], features)

    def advance(self, latent: Latent, x: NetworkInput) -> Latent:
        """The latent one frame later, or one with a steady task's solution as its state."""
        state, features = latent
        propagator = self._propagator(x.task)
        if state is not None and propagator is not None and propagator.active:
            state = propagator(state, x.params, x.elapsed)
            # Features move along with the state, or they would describe places that it has left.
            features = propagator.shared(features.movedim(-1, 1), x.params, x.elapsed).movedim(1, -1)
        hidden = self.trunk(features, self.condition(x), self.tasks[x.task].sides)
        out = self.codec.decode(x.task, hidden)
        if state is None:
            return Latent(out, features)
        return Latent(state + x.increment * out, self.codec.carry(x.task, features, hidden))

    def decode(self, latent: Latent, x: NetworkInput) -> Tensor:
        """The normalised state or solution `(B, Cout, *S)`."""
        assert latent.state is not None
        return latent.state

    def forward(self, x: NetworkInput) -> Tensor:
        """The change in units of the typical change, or a steady task's solution, `(B, Cout, *S)`."""
        before = self.encode(x)
        after = self.decode(self.advance(before, x), x)
        # The simulator multiplies by the typical change again; networks without a latent space return it so.
        return after if before.state is None else (after - before.state) / x.increment

    def initialise(self, x: NetworkInput, target: Tensor) -> None:
        """Fit the linear propagator of a task; see :mod:`ups_models.latent.linear_propagator`."""
        propagator, state = self._propagator(x.task), self.encode(x).state
        if propagator is not None and state is not None:
            propagator.fit(state, target, x.params, x.elapsed)

    def _propagator(self, task: str) -> LinearPropagator | None:
        """The propagator of a periodic evolution; None for other tasks."""
        if not self.propagators.has(task):
            return None
        found = self.propagators.of(task)
        assert isinstance(found, LinearPropagator)
        return found
