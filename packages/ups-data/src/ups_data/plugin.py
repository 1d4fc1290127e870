"""Registers the tasks, sources and the command of ups-data; imports neither torch nor numpy."""

from __future__ import annotations

from ups_core import Register, hookimpl


@hookimpl
def ups_register_tasks(register: Register) -> None:
    register(
        "advection1d", "ups_data.tasks.advection1d:Advection1d", config="ups_data.tasks.advection1d:Advection1dConfig",
        summary="linear advection u_t + beta u_x = 0, periodic (PDEBench 1D_Advection)",
    )  # fmt: skip
    register(
        "burgers1d", "ups_data.tasks.burgers1d:Burgers1d", config="ups_data.tasks.burgers1d:Burgers1dConfig",
        summary="viscous Burgers flow u_t + (u^2/2)_x = (nu/pi) u_xx, periodic (PDEBench 1D_Burgers)",
    )  # fmt: skip
    register(
        "darcy2d", "ups_data.tasks.darcy2d:Darcy2d", config="ups_data.tasks.darcy2d:Darcy2dConfig",
        summary="steady Darcy flow -div(a grad u) = beta in two-material media (PDEBench 2D_DarcyFlow)",
    )  # fmt: skip


@hookimpl
def ups_register_sources(register: Register) -> None:
    register(
        "auto", "ups_data.sources.pdebench:Auto", config="ups_data.sources.pdebench:AutoConfig",
        summary="official files when all are under the data root, otherwise generated data",
    )  # fmt: skip
    register(
        "official", "ups_data.sources.pdebench:Official", config="ups_data.sources.pdebench:OfficialConfig",
        summary="official PDEBench files; an error says what to download",
    )  # fmt: skip
    register(
        "generate", "ups_data.sources.pdebench:Generate", config="ups_data.sources.pdebench:GenerateConfig",
        summary="data made by UPS in the official layout",
    )  # fmt: skip


@hookimpl
def ups_register_commands(register: Register) -> None:
    register(
        "data", "ups_data.cli.command:DataCommand", config="ups_core:CommandConfig",
        summary="generate data in the official layout, inspect data files",
    )  # fmt: skip
