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
    """One operator for all tasks: local codec, fitted linear propagator, multi-scale trunk."""

    latent: ClassVar[bool] = True

    width: Positive = 128
    """Channels on the coarsest grid of the multi-scale trunk, or of a token."""
    depth: Positive = 1
    """Blocks on the coarsest grid, or transformer blocks, in 1-D."""
    depth_2d: Positive = 3
    """The same in 2-D and 3-D."""
    middle_width: Positive = 96
    """Channels on the middle grid."""
    middle_blocks: Positive = 1
    """Blocks on the middle grid in 1-D, on the way down and again on the way up."""
    middle_blocks_2d: Positive = 2
    """The same in 2-D and 3-D."""
    local_width: Positive = 32
    """Channels at the grid's own resolution, of codec and trunk, in 1-D."""
    local_width_2d: Positive = 16
    """The same in 2-D and 3-D, where cells are many."""
    patch: Positive = 2
    """Cells per axis of a block of the middle grid, or of a token, in 1-D."""
    patch_2d: Positive = 4
    """The same in 2-D and 3-D."""
    kernel: Positive = 7
    """Cells per axis of the trunk's convolutions in 1-D; odd."""
    kernel_2d: Positive = 5
    """The same in 2-D and 3-D."""
    mlp_ratio: Annotated[float, Field(gt=0.0)] = 2.0
    """Width of a block's hidden layer over its channels."""
    condition_width: Positive = 64
    """Length of the vector that parameters, time step and task become."""
    trunk: Literal["multiscale", "pdet_stack", "pdet_unet"] = "multiscale"
    """`multiscale`: convolutional blocks on three grids; `pdet_stack`: transformer blocks on tokens;
    `pdet_unet`: transformer blocks with a coarser level between."""
    heads: Positive = 4
    """Attention heads of transformer blocks; divides `width`."""
    modes: Positive = 16
    """Fourier modes of the token grid that a transformer block mixes, per axis (fewer on small grids)."""

    def depth_of(self, dim: int) -> int:
        """Blocks on the coarsest grid, or transformer blocks, for a grid of this dimension."""
        return self.depth if dim == 1 else self.depth_2d

    def middle_blocks_of(self, dim: int) -> int:
        """Blocks on the middle grid for a grid of this dimension."""
        return self.middle_blocks if dim == 1 else self.middle_blocks_2d

    def patch_of(self, dim: int) -> int:
        """Cells per axis of a block on a grid of this dimension."""
        return self.patch if dim == 1 else self.patch_2d

    def local_width_of(self, dim: int) -> int:
        """Channels at full resolution on a grid of this dimension."""
        return self.local_width if dim == 1 else self.local_width_2d

    def kernel_of(self, dim: int) -> int:
        """Cells per axis of a convolution on a grid of this dimension."""
        return self.kernel if dim == 1 else self.kernel_2d

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        """Kernels are odd; heads divide the width."""
        problems = [
            (name, f"{name} {getattr(self, name)} is even; a convolution that keeps the grid has an odd one")
            for name in ("kernel", "kernel_2d")
            if getattr(self, name) % 2 == 0
        ]
        if self.trunk != "multiscale" and self.width % self.heads:
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
