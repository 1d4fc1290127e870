"""Options of the layouts of PDEBench's files and of The Well's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ups_core import LayoutConfig


class HDF5LayoutConfig(LayoutConfig):
    """Options of every layout of HDF5 files."""

    external: tuple[str, ...] = ()
    """Other files that links, virtual datasets and external storage may lead to, from the folder of the file.
    By default nothing outside a file is opened."""


class PDEBenchTensorConfig(HDF5LayoutConfig):
    """One dataset (trajectory, time, space) of one field, as PDEBench's advection, Burgers and Darcy."""

    solution: str = "tensor"
    """Dataset of the field to predict."""
    coefficient: str | None = None
    """Dataset (trajectory, space) of a given field, which makes the problem steady."""


class PDEBenchFieldsConfig(HDF5LayoutConfig):
    """One dataset (trajectory, time, space) for every field, as PDEBench's compressible flows."""

    fields: tuple[str, ...] = Field(default=("density", "pressure", "Vx"), min_length=1)
    """Datasets of the fields, in the order of the channels."""


class PDEBenchGroupsConfig(HDF5LayoutConfig):
    """A group for every trajectory, as `0000/data` (time, space, channel) of PDEBench's
    diffusion-reaction."""

    axes: Literal["xy", "yx"] = "xy"
    """Order in which the axes of space are stored: x first or x last."""


class PDEBenchNSConfig(HDF5LayoutConfig):
    """`velocity`, `particles`, `force` and `t`, as in PDEBench's incompressible flow."""

    cells: int = Field(default=512, ge=1)
    """Cells of the unit square along each axis, of which a file with fewer points has every so many: files
    have no coordinates."""


class TheWellConfig(HDF5LayoutConfig):
    """Files of The Well, which say themselves what is in them."""
