"""Registers the tasks, sources and the command of ups-data; imports neither torch nor numpy."""

from __future__ import annotations

from ups_core import Register, hookimpl


@hookimpl
def ups_register_tasks(register: Register) -> None:
    """Register the PDE problems."""
    register(
        "advection1d",
        "ups_data.tasks.advection1d:Advection1d",
        config="ups_data.tasks.advection1d:Advection1dConfig",
        summary="linear advection u_t + beta u_x = 0, periodic (PDEBench 1D_Advection)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "burgers1d",
        "ups_data.tasks.burgers1d:Burgers1d",
        config="ups_data.tasks.burgers1d:Burgers1dConfig",
        summary="viscous Burgers flow u_t + (u^2/2)_x = (nu/pi) u_xx, periodic (PDEBench 1D_Burgers)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "darcy2d",
        "ups_data.tasks.darcy2d:Darcy2d",
        config="ups_data.tasks.darcy2d:Darcy2dConfig",
        summary="steady Darcy flow -div(a grad u) = beta in two-material media (PDEBench 2D_DarcyFlow)",
        cite=("ups_data.citations:PDEBENCH",),
    )

    register(
        "reaction_diffusion1d",
        "ups_data.tasks.reaction_diffusion1d:ReactionDiffusion1d",
        config="ups_data.tasks.reaction_diffusion1d:ReactionDiffusion1dConfig",
        summary="u_t = nu u_xx + rho u (1 - u), periodic (PDEBench 1D_ReacDiff)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "diffusion_sorption1d",
        "ups_data.tasks.diffusion_sorption1d:DiffusionSorption1d",
        config="ups_data.tasks.diffusion_sorption1d:DiffusionSorption1dConfig",
        summary="diffusion with sorption u_t = D / R(u) u_xx (PDEBench 1D_diff-sorp)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    for dim in (1, 2, 3):
        register(
            f"compressible_flow{dim}d",
            f"ups_data.tasks.compressible_flow:CompressibleFlow{dim}d",
            config=f"ups_data.tasks.compressible_flow:CompressibleFlow{dim}dConfig",
            summary=f"compressible Navier-Stokes in {dim}-D (PDEBench {dim}D_CFD)",
            cite=("ups_data.citations:PDEBENCH",),
        )
    register(
        "diffusion_reaction2d",
        "ups_data.tasks.diffusion_reaction2d:DiffusionReaction2d",
        config="ups_data.tasks.diffusion_reaction2d:DiffusionReaction2dConfig",
        summary="FitzHugh-Nagumo activator and inhibitor, no flux through edges (PDEBench 2D_diff-react)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "shallow_water2d",
        "ups_data.tasks.shallow_water2d:ShallowWater2d",
        config="ups_data.tasks.shallow_water2d:ShallowWater2dConfig",
        summary="height of a radial dam break, open edges (PDEBench 2D_rdb)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "incompressible_flow2d",
        "ups_data.tasks.incompressible_flow2d:IncompressibleFlow2d",
        config="ups_data.tasks.incompressible_flow2d:IncompressibleFlow2dConfig",
        summary="driven incompressible Navier-Stokes with particles (PDEBench NS_Incom)",
        cite=("ups_data.citations:PDEBENCH",),
    )
    register(
        "darcy_grf",
        "ups_data.tasks.darcy_grf:DarcyGRF",
        config="ups_data.tasks.darcy_grf:DarcyGRFConfig",
        summary="-div(a grad u) = 1 through media of a Gaussian random field, coefficient to solution",
        cite=("ups_data.citations:FOURIER_NEURAL_OPERATOR",),
    )
    register(
        "vorticity2d",
        "ups_data.tasks.vorticity2d:Vorticity2d",
        config="ups_data.tasks.vorticity2d:Vorticity2dConfig",
        summary="forced incompressible Navier-Stokes as vorticity, periodic (generated only)",
        cite=("ups_data.citations:FOURIER_NEURAL_OPERATOR",),
    )
    register(
        "kuramoto_sivashinsky1d",
        "ups_data.tasks.kuramoto_sivashinsky1d:KuramotoSivashinsky1d",
        config="ups_data.tasks.kuramoto_sivashinsky1d:KuramotoSivashinsky1dConfig",
        summary="chaos: u_t + u u_x + u_xx + u_xxxx = 0, periodic (generated only)",
        cite=("ups_data.citations:KURAMOTO_SIVASHINSKY",),
    )
    register(
        "arrays",
        "ups_data.tasks.arrays:ArraysTask",
        config="ups_data.tasks.files_config:ArraysConfig",
        summary="own arrays: .npy, .npz, .mat, .pt, HDF5, netCDF and zarr files",
    )
    register(
        "files",
        "ups_data.tasks.files:FilesTask",
        config="ups_data.tasks.files_config:LayoutFilesConfig",
        summary="own files in any registered layout",
    )
    register(
        "the_well",
        "ups_data.tasks.well:WellTask",
        config="ups_data.tasks.well_config:WellConfig",
        summary="files of The Well, with the splits of its folders",
        cite=("ups_data.citations:THE_WELL",),
    )


@hookimpl
def ups_register_sources(register: Register) -> None:
    """Register the sources of data files."""
    register(
        "auto",
        "ups_data.sources.auto:Auto",
        config="ups_data.sources.config:AutoConfig",
        summary="official files if all of them are under the data root, otherwise generated data",
    )
    register(
        "official",
        "ups_data.sources.official:Official",
        config="ups_data.sources.config:OfficialConfig",
        summary="official PDEBench files; an error says what to download",
        cite=("ups_data.citations:PDEBENCH_DATA",),
    )
    register(
        "generate",
        "ups_data.sources.generated:Generate",
        config="ups_data.sources.config:GenerateConfig",
        summary="data generated by UPS in the official layout",
    )


@hookimpl
def ups_register_layouts(register: Register) -> None:
    """Register the kinds of files."""
    register(
        "pdebench_tensor",
        "ups_data.stores.pdebench_tensor:PDEBenchTensor",
        config="ups_data.stores.layout_config:PDEBenchTensorConfig",
        summary="one dataset (trajectory, time, space) of one field (PDEBench advection, Burgers, Darcy)",
    )
    register(
        "pdebench_fields",
        "ups_data.stores.pdebench_fields:PDEBenchFields",
        config="ups_data.stores.layout_config:PDEBenchFieldsConfig",
        summary="one dataset (trajectory, time, space) for every field (PDEBench compressible flow)",
    )
    register(
        "pdebench_groups",
        "ups_data.stores.pdebench_groups:PDEBenchGroups",
        config="ups_data.stores.layout_config:PDEBenchGroupsConfig",
        summary="one group for every trajectory (PDEBench diffusion-reaction, shallow water, …)",
    )
    register(
        "pdebench_ns",
        "ups_data.stores.pdebench_ns:PDEBenchNS",
        config="ups_data.stores.layout_config:PDEBenchNSConfig",
        summary="velocity, particles and force (PDEBench incompressible flow)",
    )
    register(
        "the_well",
        "ups_data.stores.well:TheWell",
        config="ups_data.stores.layout_config:TheWellConfig",
        summary="scalar, vector and tensor fields with their boundaries and scalars (The Well)",
    )


@hookimpl
def ups_register_commands(register: Register) -> None:
    """Register `ups data`."""
    register(
        "data",
        "ups_data.cli.command:DataCommand",
        config="ups_core:CommandConfig",
        summary="make specs for own data; generate, download, export, inspect, repack and check data",
    )
