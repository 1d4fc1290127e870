"""The task `darcy_grf`: Darcy flow through two materials, with media of a Gaussian random field."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ups_data.info import Channel, TaskInfo
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import Family, PDEBenchConfig, PDEBenchTask, Values

DARCY_GRF = Family(
    name="darcy_grf",
    native=(128, 128),
    frames=1,
    dt=0.0,
    channels=(
        Channel("a", "1", "coefficient", values=(3.0, 12.0)),
        Channel("u", "1", "target", positive=True),
    ),
    domain=((0.0, 1.0), (0.0, 1.0)),
    boundary="dirichlet",
    parameters=(),
    folder="",
    pattern="2D_DarcyFlow_GRF.hdf5",
    datafiles={},
    layout="pdebench_tensor",
    layout_options={"coefficient": "nu"},
    equation="-div(a grad u) = 1",
    symmetries=("reflection", "transpose"),
    generation=Generation("ups_data.generators.darcy_grf:generate", version=1),
    solver="ups_data.solvers.darcy:UnitSource",
    solver_kind="iterative",
)


class DarcyGRFConfig(PDEBenchConfig):
    """Steady flow through the media of Li et al. (arXiv 2010.08895), 3 or 12 by a random field's sign."""

    native: ClassVar[int] = 128
    resolution: int = 64
    """Cells along each axis; divides 128. Every grid is solved for itself."""


class DarcyGRF(PDEBenchTask):
    """Steady Darcy flow between two materials, a = 3 and a = 12."""

    config: DarcyGRFConfig
    family = DARCY_GRF

    @property
    def values(self) -> tuple[Values, ...]:
        """One file, without parameters."""
        return ((),)

    @property
    def info(self) -> TaskInfo:
        """See :class:`PDEBenchTask`; points are centres of the grid's own cells."""
        return replace(super().info, points=())
