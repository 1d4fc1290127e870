"""The models that this package provides; registering them imports no torch."""

from ups_core import Register, hookimpl


@hookimpl
def ups_register_models(register: Register) -> None:
    register(
        "latent_operator", "ups_models.latent.operator:LatentOperator",
        config="ups_models.config:LatentOperatorConfig",
        summary="grid encoder, transformer trunk on latent tokens, local decoder; one model for all tasks",
    )  # fmt: skip
    register(
        "fno", "ups_models.fno:FNO", config="ups_models.config:FNOConfig",
        summary="Fourier neural operator, one per task",
    )  # fmt: skip
    register(
        "unet", "ups_models.unet:UNet", config="ups_models.config:UNetConfig",
        summary="ConvNeXt U-Net, one per task",
    )  # fmt: skip
    register(
        "persistence", "ups_models.baselines:Persistence", config="ups_models.config:PersistenceConfig",
        summary="nothing changes: the last given frame for ever",
    )  # fmt: skip
    register(
        "mean", "ups_models.baselines:Mean", config="ups_models.config:MeanConfig",
        summary="the train split's mean value everywhere",
    )  # fmt: skip
