"""Options of all models, without torch, so that specs are checked quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ups_core import ModelConfig
from ups_data.info import TaskInfo
from ups_models.per_dimension import PerDimension, PerDimensionConfig, at, by_dimension, key_at

Positive = Annotated[int, Field(ge=1)]
Issues = Sequence[tuple[str, str]]


class PersistenceConfig(ModelConfig):
    """Persistence: no options."""

    trainable: ClassVar[bool] = False


class MeanConfig(ModelConfig):
    """The mean: no options."""

    trainable: ClassVar[bool] = False


class FNOConfig(PerDimensionConfig):
    """Fourier neural operator (Li et al., arXiv 2010.08895): one independent operator per task."""

    former_keys: ClassVar[Mapping[str, str]] = {"modes_2d": "renamed to 'modes: {2: ...}' in 0.2"}

    width: Positive = 32
    """Channels of the hidden layers."""
    modes: PerDimension = by_dimension(16, 12)
    """Fourier modes kept per axis."""
    layers: Positive = 4
    """Number of Fourier layers."""

    def check(self, tasks: Mapping[str, TaskInfo]) -> Issues:
        """Modes that exceed the Nyquist limit of a task's grid."""
        return [
            (f"modes.{key_at(self.modes, task.dim)}", message)
            for task in tasks.values()
            if (message := _too_many_modes(task, at(self.modes, task.dim)))
        ]


class UNetConfig(PerDimensionConfig):
    """U-Net (arXiv 1505.04597) of ConvNeXt blocks (arXiv 2201.03545), one per task."""

    width: PerDimension = by_dimension(32, 16)
    """Channels at full resolution; doubled at every level."""
    levels: PerDimension = by_dimension(3, 4)
    """Number of resolutions."""
    blocks: Positive = 1
    """Blocks per level on the way down and up."""

    def check(self, tasks: Mapping[str, TaskInfo]) -> Issues:
        """Grids that cannot be halved at every level."""
        return [
            (
                f"levels.{key_at(self.levels, task.dim)}",
                f"the grid {'x'.join(map(str, task.shape))} of task '{task.name}' is not divisible by {size}"
                "; use fewer levels",
            )
            for task in tasks.values()
            if any(cells % (size := 2 ** (at(self.levels, task.dim) - 1)) for cells in task.shape)
        ]


class LatentOperatorConfig(PerDimensionConfig):
    """One operator for all tasks: local codec, fitted linear propagator, multi-scale or transformer trunk."""

    former_keys: ClassVar[Mapping[str, str]] = {
        f"{name}_2d": f"renamed to '{name}: {{2: ...}}' in 0.2"
        for name in ("depth", "middle_blocks", "local_width", "patch", "kernel")
    }
    latent: ClassVar[bool] = True

    width: Positive = 128
    """Channels on the coarsest grid of the multi-scale trunk, or length of a token."""
    depth: PerDimension = by_dimension(1, 3)
    """Blocks on the coarsest grid, or transformer blocks."""
    middle_width: Positive = 96
    """Channels on the middle grid."""
    middle_blocks: PerDimension = by_dimension(1, 2)
    """Blocks on the middle grid, on the way down and again on the way up."""
    local_width: PerDimension = by_dimension(32, 16)
    """Channels of codec and trunk at the grid's own resolution; fewer in 2-D, where there are more cells."""
    patch: PerDimension = by_dimension(2, 4)
    """Cells per axis of a block of the middle grid, or of a token."""
    kernel: PerDimension = by_dimension(7, 5)
    """Cells per axis of the trunk's convolutions; odd."""
    mlp_ratio: Annotated[float, Field(gt=0.0)] = 2.0
    """Hidden width of a block's MLP over its channels."""
    condition_width: Positive = 64
    """Length of the vector that encodes parameters, time step, grid offset and task."""
    trunk: Literal["multiscale", "pdet_stack", "pdet_unet"] = "multiscale"
    """`multiscale`: convolutional blocks on three grids. `pdet_stack`, `pdet_unet`: token transformers after
    PDE-Transformer (arXiv 2505.24717), at one resolution or with a coarser level between."""
    heads: Positive = 4
    """Attention heads of transformer blocks; divides `width`."""
    modes: Positive = 16
    """Fourier modes of the token grid that a transformer block mixes, per axis (fewer on small grids)."""

    def check(self, tasks: Mapping[str, TaskInfo]) -> Issues:
        """Even kernels, and heads that do not divide the width."""
        problems = [
            (f"kernel.{dim}", f"kernel {size} is even; use an odd one, which keeps the grid")
            for dim, size in self.kernel.items()
            if size % 2 == 0
        ]
        if self.trunk != "multiscale" and self.width % self.heads:
            problems.append(
                ("heads", f"heads {self.heads} does not divide width {self.width}; use a divisor")
            )
        return problems


def _too_many_modes(task: TaskInfo, modes: int) -> str | None:
    smallest = min(task.shape)
    if modes <= smallest // 2:
        return None
    return (
        f"{modes} modes need {2 * modes} cells; task '{task.name}' has {smallest} "
        f"(at most {smallest // 2} modes)"
    )
