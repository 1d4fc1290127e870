"""The task `darcy2d`: -∇·(a∇u) = β on the unit square, PDEBench's 2D_DarcyFlow."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ups_data.info import Channel
from ups_data.sources.request import Generation
from ups_data.tasks.pdebench import Family, FileParameter, PDEBenchConfig, PDEBenchTask, Values

DARCY = Family(
    name="darcy2d",
    native=(128, 128),
    frames=1,
    dt=0.0,
    channels=(Channel("a", "1", "coefficient", values=(0.1, 1.0)), Channel("u", "1", "target")),
    domain=((0.0, 1.0), (0.0, 1.0)),
    boundary="dirichlet",
    parameters=(FileParameter("beta", "beta"),),
    folder="2D/DarcyFlow",
    pattern="2D_DarcyFlow_beta{}_Train.hdf5",
    datafiles={(0.01,): 133217, (0.1,): 133218, (1.0,): 133219, (10.0,): 133220, (100.0,): 133221},
    layout="pdebench_tensor",
    layout_options={"coefficient": "nu"},
    equation="-div(a grad u) = beta",
    symmetries=("reflection", "transpose"),
    generation=Generation("ups_data.generators.darcy:generate", version=1),
    caveat="official Darcy files are transient at t = 1.75; solvers and residuals are of the steady state",
    solver="ups_data.solvers.darcy:SparseDirect",
    solver_kind="iterative",
)


class Darcy2dConfig(PDEBenchConfig):
    """Steady flow through PDEBench's two-material media, from the coefficient a to the solution u."""

    native: ClassVar[int] = 128
    beta: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Constant source; PDEBench published 0.01, 0.1, 1, 10 and 100."""
    resolution: int = 64
    """Grid points along each axis; divides the 128 points of the native grid."""


class Darcy2d(PDEBenchTask):
    """Steady Darcy flow: a coefficient-to-solution problem without time."""

    config: Darcy2dConfig
    family = DARCY

    @property
    def values(self) -> tuple[Values, ...]:
        """The source β."""
        return ((self.config.beta,),)
