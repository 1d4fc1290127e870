"""Registers the model `neuraloperator/fno` and the loss `neuraloperator/h1`, without importing torch."""

from ups_core import ModelConfig, Register, hookimpl


class FNOConfig(ModelConfig):
    """The FNO of the package neuraloperator, one per task.

    Layers, skips and channel MLPs are the package's defaults; widths and modes are those of its Darcy
    examples, with more modes for the larger grids here.
    """

    hidden_channels: int = 64
    """Channels of the hidden layers on 1-D grids."""
    hidden_channels_2d: int = 32
    """The same on 2-D and 3-D grids."""
    modes: int = 32
    """Fourier modes per axis on 1-D grids, both signs counted, as the package counts."""
    modes_2d: int = 24
    """The same on 2-D and 3-D grids."""
    layers: int = 4
    """Fourier layers."""


@hookimpl
def ups_register_models(register: Register) -> None:
    register(
        "neuraloperator/fno",
        "ups_neuraloperator.parts:NeuralOperatorFNO",
        config=FNOConfig,
        summary="the FNO of the package neuraloperator, one per task",
    )


@hookimpl
def ups_register_losses(register: Register) -> None:
    register(
        "neuraloperator/h1",
        "ups_neuraloperator.parts:H1",
        config="ups_train.losses.config:LossConfig",
        summary="relative H1 error of the package neuraloperator, which its Darcy examples train with",
    )
