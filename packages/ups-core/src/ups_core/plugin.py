"""The core's own components: launchers that need no torch, and `ups tune`."""

from ups_core.hookspecs import Register, hookimpl


@hookimpl
def ups_register_launchers(register: Register) -> None:
    register(
        "local",
        "ups_core.launchers.local:LocalLauncher",
        config="ups_core.launchers.local:LocalLauncherConfig",
        summary="run each step in this process (one device)",
    )
    register(
        "slurm",
        "ups_core.launchers.slurm:Slurm",
        config="ups_core.launchers.config:SlurmConfig",
        summary="a Slurm job with one task per device, requeued when it is cut off",
    )
    register(
        "skypilot",
        "ups_core.launchers.skypilot:SkyPilot",
        config="ups_core.launchers.config:SkyPilotConfig",
        summary="a rented machine of any cloud, Vast.ai included, within a budget",
    )


@hookimpl
def ups_register_commands(register: Register) -> None:
    register(
        "tune",
        "ups_core.cli.tune:TuneCommand",
        config="ups_core.base_configs:CommandConfig",
        summary="search options of a spec for the lowest validation error",
    )
