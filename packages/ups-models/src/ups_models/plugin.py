"""The models and commands that this package provides; registering them imports no torch."""

from __future__ import annotations

from ups_core import Register, hookimpl


@hookimpl
def ups_register_models(register: Register) -> None:
    """Register the models."""
    register(
        "latent_operator",
        "ups_models.latent.operator:LatentOperator",
        config="ups_models.config:LatentOperatorConfig",
        summary="one model for all tasks: local codec, fitted linear propagator, multi-scale trunk",
        cite=("ups_models.citations:latent_operator",),
    )
    register(
        "fno",
        "ups_models.fno:FNO",
        config="ups_models.config:FNOConfig",
        summary="Fourier neural operator (Li et al., arXiv 2010.08895), one per task",
        cite=("ups_data.citations:FOURIER_NEURAL_OPERATOR",),
    )
    register(
        "unet",
        "ups_models.unet:UNet",
        config="ups_models.config:UNetConfig",
        summary="U-Net of ConvNeXt blocks (arXiv 1505.04597, 2201.03545), one per task",
        cite=("ups_models.citations:UNET", "ups_models.citations:CONVNEXT"),
    )
    register(
        "persistence",
        "ups_models.baselines:Persistence",
        config="ups_models.config:PersistenceConfig",
        summary="baseline without parameters: the last given frame for every later frame",
    )
    register(
        "mean",
        "ups_models.baselines:Mean",
        config="ups_models.config:MeanConfig",
        summary="baseline without parameters: the mean of the train split, per cell where a task is steady",
    )


@hookimpl
def ups_register_commands(register: Register) -> None:
    """Register `ups predict` and `ups export`."""
    register(
        "predict",
        "ups_models.predict_command:PredictCommand",
        config="ups_core:CommandConfig",
        summary="apply a trained model to fields in files, or print what it expects",
    )
    register(
        "export",
        "ups_models.export_command:ExportCommand",
        config="ups_core:CommandConfig",
        summary="write one step of a trained model as a torch or ONNX program",
    )
