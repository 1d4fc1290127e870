"""The model and the loss themselves."""

from torch import nn

from ups_models.layers.convolution import grid_conv
from ups_models.network import PerTaskNetwork, lifted_channels, out_channels


class CNN(PerTaskNetwork):
    """Two convolutions per task."""

    def __init__(self, config, tasks):
        super().__init__(tasks, lambda task: two_convolutions(config.width, task))


def two_convolutions(width, task):
    """Normalised fields and conditions `(B, lifted, *S)` to a normalised prediction `(B, Cout, *S)`."""
    return nn.Sequential(
        grid_conv(lifted_channels(task), width, 5, sides=task.sides),
        nn.GELU(),
        grid_conv(width, out_channels(task), 5, sides=task.sides),
    )


def l1(config):
    """Mean absolute error of normalised fields."""
    return lambda prediction, target: (prediction - target).abs().mean()
