"""The model and the loss, thin wrappers around the package's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ups_core import UPSError
from ups_core.base_configs import LossConfig
from ups_data.info import TaskInfo
from ups_models.network import PerTaskNetwork, lifted_channels, out_channels
from ups_neuraloperator import FNOConfig

try:
    from neuralop.losses import H1Loss
    from neuralop.models import FNO
except ImportError as error:
    raise UPSError(f"neuraloperator cannot be imported ({error}); pip install neuraloperator") from error


class NeuralOperatorFNO(PerTaskNetwork):
    """One FNO per task. Conditions and coordinates are input channels already, so its own embedding is off.

    Its last layer starts at zero, as every UPS network's: persistence, or the mean of a steady task.
    """

    def __init__(self, config: FNOConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__(tasks, lambda task: _fno(config, task))


class _TensorsOnly(FNO):  # type: ignore[misc]
    """Saves tensors only: the package adds its constructor's arguments, functions among them, to the
    state."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return nn.Module.state_dict(self, *args, **kwargs)


def _fno(config: FNOConfig, task: TaskInfo) -> nn.Module:
    line = task.dim == 1
    model = _TensorsOnly(
        n_modes=(config.modes if line else config.modes_2d,) * task.dim,
        in_channels=lifted_channels(task),
        out_channels=out_channels(task),
        hidden_channels=config.hidden_channels if line else config.hidden_channels_2d,
        n_layers=config.layers,
        positional_embedding=None,
    )
    for weight in model.projection.fcs[-1].parameters():
        nn.init.zeros_(weight)
    return model


class H1:
    """Mean over samples and frames of the relative H1 error of normalised fields `(B, T, C, *S)`.

    The package takes one-sided differences at boundaries that are not periodic; a loss does not see the
    task, so every boundary is treated as one.
    """

    def __init__(self, config: LossConfig):
        self.config = config

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        dim = prediction.dim() - 3
        loss = H1Loss(d=dim, reduction="mean", periodic_in_x=False, periodic_in_y=False, periodic_in_z=False)
        error: Tensor = loss(prediction.flatten(0, 1), target.flatten(0, 1))
        return error
