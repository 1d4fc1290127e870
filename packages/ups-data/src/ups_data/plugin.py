"""Registers the tasks, sources and the command of ups-data; imports neither torch nor numpy."""

from __future__ import annotations

from ups_core import Register, hookimpl


@hookimpl
def ups_register_tasks(register: Register) -> None:
    register(
        "advection1d", "ups_data.advection1d:Advection1d", config="ups_data.advection1d:Advection1dConfig",
        summary="linear advection u_t + beta u_x = 0, periodic (PDEBench 1D_Advection)",
    )  # fmt: skip
    register(
        "burgers1d", "ups_data.burgers1d:Burgers1d", config="ups_data.burgers1d:Burgers1dConfig",
        summary="viscous Burgers flow u_t + (u^2/2)_x = (nu/pi) u_xx, periodic (PDEBench 1D_Burgers)",
    )  # fmt: skip
    register(
        "darcy2d", "ups_data.darcy2d:Darcy2d", config="ups_data.darcy2d:Darcy2dConfig",
        summary="steady Darcy flow -div(a grad u) = beta in two-material media (PDEBench 2D_DarcyFlow)",
    )  # fmt: skip


@hookimpl
def ups_register_sources(register: Register) -> None:
    register(
        "auto", "ups_data.sources:Auto", config="ups_data.sources:AutoConfig",
        summary="official files when all are under the data root, otherwise generated data",
    )  # fmt: skip
    register(
        "official", "ups_data.sources:Official", config="ups_data.sources:OfficialConfig",
        summary="official PDEBench files; an error says what to download",
    )  # fmt: skip
    register(
        "generate", "ups_data.sources:Generate", config="ups_data.sources:GenerateConfig",
        summary="data made by UPS in the official layout",
    )  # fmt: skip


@hookimpl
def ups_register_commands(register: Register) -> None:
    register(
        "data", "ups_data.commands:DataCommand", config="ups_core.config:Config",
        summary="generate data in the official layout, inspect data files",
    )  # fmt: skip
