"""Options of every model, free of torch so that specs can be checked in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ups_core import ModelConfig

Positive = Annotated[int, Field(ge=1)]


class PersistenceConfig(ModelConfig):
    """Persistence has no options."""

    trainable: ClassVar[bool] = False


class MeanConfig(ModelConfig):
    """The mean predictor has no options."""

    trainable: ClassVar[bool] = False


class FNOConfig(ModelConfig):
    """Fourier neural operator (Li et al. 2021): one independent operator per task."""

    width: Positive = 32
    """Channels of the hidden layers."""
    modes: Positive = 16
    """Fourier modes kept per axis in 1-D; in 2-D and 3-D `modes_2d` counts."""
    modes_2d: Positive = 12
    """Fourier modes kept per axis in 2-D and 3-D."""
    layers: Positive = 4
    """Number of Fourier layers."""

    def kept(self, dim: int) -> int:
        """Modes kept per axis on a grid of this dimension."""
        return self.modes if dim == 1 else self.modes_2d

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        """Modes must not exceed the grid's Nyquist limit."""
        return [
            ("modes" if len(task["shape"]) == 1 else "modes_2d", message)
            for name, task in tasks.items()
            if (message := _too_many_modes(name, task["shape"], self.kept(len(task["shape"]))))
        ]


class UNetConfig(ModelConfig):
    """U-Net of ConvNeXt blocks (Liu et al. 2022 in the shape of Ronneberger et al. 2015), one per task."""

    width: Positive = 32
    """Channels at full resolution; doubled at every level."""
    levels: Annotated[int, Field(ge=1, le=6)] = 3
    """Number of resolutions."""
    blocks: Positive = 1
    """Blocks per level on the way down and up."""

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        """Every level halves the grid."""
        return _must_divide("levels", 2 ** (self.levels - 1), tasks)


class LatentOperatorConfig(ModelConfig):
    """One operator for all tasks: grid encoder, transformer trunk on latent tokens, local decoder."""

    width: Positive = 96
    """Latent width D of a token."""
    depth: Positive = 4
    """Number of transformer blocks."""
    heads: Positive = 4
    """Attention heads; divides `width`."""
    patch: Positive = 4
    """Cells per token and axis."""
    modes: Positive = 16
    """Fourier modes of the token grid that a block mixes, per axis (fewer on small grids)."""
    local_width: Positive = 16
    """Channels of the codec at full resolution."""
    mlp_ratio: Annotated[float, Field(gt=0.0)] = 2.0
    """Width of a block's hidden layer over `width`."""
    trunk: Literal["pdet_stack", "pdet_unet"] = "pdet_stack"
    """`pdet_stack`: blocks at one resolution; `pdet_unet`: a coarser level between, with a skip."""

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        """Patches must tile the grid, heads the width."""
        problems = list(_must_divide("patch", self.patch * (2 if self.trunk == "pdet_unet" else 1), tasks))
        if self.width % self.heads:
            problems.append(("heads", f"heads {self.heads} does not divide width {self.width}"))
        return problems


def _too_many_modes(name: str, shape: Sequence[int], modes: int) -> str | None:
    smallest = min(shape)
    if modes <= smallest // 2:
        return None
    return (
        f"{modes} modes need {2 * modes} cells; task '{name}' has {smallest} (at most {smallest // 2} modes)"
    )


def _must_divide(option: str, size: int, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
    return [
        (option, f"the grid {'x'.join(map(str, task['shape']))} of task '{name}' is not divisible by {size}")
        for name, task in tasks.items()
        if any(cells % size for cells in task["shape"])
    ]
