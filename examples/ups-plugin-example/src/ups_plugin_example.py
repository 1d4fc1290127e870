"""A UPS plugin in one file: the model `example/cnn` and the loss `example/l1`."""

from torch import Tensor, nn
from ups_core import ModelConfig, Register, hookimpl
from ups_models.layers.convolution import grid_conv
from ups_models.network import Network, NetworkInput, as_channels, lifted_channels, module_key, out_channels, per_task
from ups_train.config import LossConfig


class CNNConfig(ModelConfig):
    """A plain convolutional network."""

    width: int = 16
    """Hidden channels."""


class CNN(Network):
    """Two convolutions per task."""

    def __init__(self, config: CNNConfig, tasks):
        super().__init__()
        self.nets = per_task(tasks, lambda task: nn.Sequential(
            grid_conv(task.dim, lifted_channels(task), config.width, 5, periodic=task.boundary == "periodic"),
            nn.GELU(),
            grid_conv(task.dim, config.width, out_channels(task), 5, periodic=task.boundary == "periodic"),
        ))  # fmt: skip

    def forward(self, x: NetworkInput) -> Tensor:
        """Normalised prediction `(B, Cout, *S)`."""
        return self.nets[module_key(x.task)](as_channels(x))


def l1(config: LossConfig):
    """Mean absolute error of normalised fields."""
    return lambda prediction, target: (prediction - target).abs().mean()


@hookimpl
def ups_register_models(register: Register) -> None:
    register("example/cnn", CNN, config=CNNConfig, summary="two convolutions")


@hookimpl
def ups_register_losses(register: Register) -> None:
    register("example/l1", l1, config=LossConfig, summary="mean absolute error")
