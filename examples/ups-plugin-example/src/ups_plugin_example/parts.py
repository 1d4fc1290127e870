"""The model and the loss themselves."""

from torch import nn

from ups_models.layers.convolution import grid_conv
from ups_models.network import Network, as_channels, lifted_channels, module_key, out_channels, per_task


class CNN(Network):
    """Two convolutions per task."""

    def __init__(self, config, tasks):
        super().__init__()
        self.nets = per_task(tasks, lambda task: self._net(config.width, task))

    def _net(self, width, task):
        periodic = task.boundary == "periodic"
        return nn.Sequential(
            grid_conv(task.dim, lifted_channels(task), width, 5, periodic=periodic),
            nn.GELU(),
            grid_conv(task.dim, width, out_channels(task), 5, periodic=periodic),
        )

    def forward(self, x):
        """Normalised prediction `(B, Cout, *S)`."""
        return self.nets[module_key(x.task)](as_channels(x))


def l1(config):
    """Mean absolute error of normalised fields."""
    return lambda prediction, target: (prediction - target).abs().mean()
