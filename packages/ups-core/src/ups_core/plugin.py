"""Core's own components: the launcher that runs a step in this process."""

from ups_core.hookspecs import Register, hookimpl


@hookimpl
def ups_register_launchers(register: Register) -> None:
    register(
        "local", "ups_core.worker:LocalLauncher", config="ups_core.worker:LocalLauncherConfig",
        summary="run each step in this process (one device)",
    )  # fmt: skip
