"""A UPS plugin: registers the model `example/cnn` and the loss `example/l1`, without importing torch."""

from ups_core import ModelConfig, Register, hookimpl


class CNNConfig(ModelConfig):
    """A plain convolutional network."""

    width: int = 16
    """Hidden channels."""


@hookimpl
def ups_register_models(register: Register) -> None:
    register("example/cnn", "ups_plugin_example.parts:CNN", config=CNNConfig, summary="two convolutions")


@hookimpl
def ups_register_losses(register: Register) -> None:
    register(
        "example/l1",
        "ups_plugin_example.parts:l1",
        config="ups_train.losses.config:LossConfig",
        summary="mean absolute error",
    )
