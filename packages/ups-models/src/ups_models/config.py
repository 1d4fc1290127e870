"""Options of all models, without torch, so that specs are checked quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ups_core import ModelConfig
from ups_data.info import TaskInfo
from ups_models.block_model import BlockModelConfig
from ups_models.grids import extended
from ups_models.noise_config import NoiseConfig
from ups_models.per_dimension import PerDimension, PerDimensionConfig, at, by_dimension, key_at

COARSER = 2
"""Cells per axis that a coarser level of the latent operator's trunk joins."""
LIFT_KERNEL = 3
"""Cells per axis of the first convolution of the U-Net and the latent operator."""
UNET_KERNEL = 7
"""Cells per axis of the U-Net's convolutions."""
Positive = Annotated[int, Field(ge=1)]
Issues = Sequence[tuple[str, str]]


class PersistenceConfig(ModelConfig):
    """Persistence: no options."""

    trainable: ClassVar[bool] = False


class MeanConfig(ModelConfig):
    """The mean of the train split: no options."""

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
        """Modes that exceed the Nyquist limit of a task's grid, and grids that are not evenly spaced."""
        return uneven_grids(tasks) + [
            (f"modes.{key_at(self.modes, task.dim)}", message)
            for task in tasks.values()
            if (message := _too_many_modes(task, at(self.modes, task.dim)))
        ]


class UNetConfig(BlockModelConfig):
    """U-Net (arXiv 1505.04597) of ConvNeXt blocks (arXiv 2201.03545), one per task."""

    see_further: ClassVar[str] = "use more levels or blocks"

    width: PerDimension = by_dimension(32, 16)
    """Channels at full resolution; doubled at every level."""
    levels: PerDimension = by_dimension(3, 4)
    """Number of resolutions."""
    blocks: Positive = 1
    """Blocks per level on the way down and up."""

    def block_cells(self, dim: int) -> int:
        """Cells of a grid along an axis of one cell of the coarsest level."""
        halvings = at(self.levels, dim) - 1
        return 1 << halvings

    def cells_seen(self, dim: int) -> int:
        """See :class:`BlockModelConfig`; the blocks' kernels add up, twice as far at every level."""
        reach = self.blocks * (UNET_KERNEL // 2)

        def furthest(cell: int, coarser_levels: int) -> int:
            cell += reach
            if not coarser_levels:
                return cell
            coarse = furthest(cell // 2, coarser_levels - 1)
            return max(cell, 2 * coarse + 1) + reach

        return furthest(0, at(self.levels, dim) - 1) + LIFT_KERNEL // 2 + 1

    def check(self, tasks: Mapping[str, TaskInfo]) -> Issues:
        """Periodic grids whose coarsest level is smaller than a convolution, and uneven ones."""
        return uneven_grids(tasks) + [
            (f"levels.{key_at(self.levels, task.dim)}", message + "; use fewer levels")
            for task in tasks.values()
            if (message := _too_few_cells(task, self.block_cells(task.dim), UNET_KERNEL))
        ]


class LatentOperatorConfig(BlockModelConfig):
    """One operator for all tasks: local codec, fitted linear propagator, multi-scale or transformer trunk."""

    former_keys: ClassVar[Mapping[str, str]] = {
        f"{name}_2d": f"renamed to '{name}: {{2: ...}}' in 0.2"
        for name in ("depth", "middle_blocks", "local_width", "patch", "kernel")
    }
    latent: ClassVar[bool] = True
    stochastic: ClassVar[bool] = True
    see_further: ClassVar[str] = "use a larger depth or kernel"

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
    noise: NoiseConfig | None = None
    """Noise that tells the members of an ensemble apart; set by the stage's `objective`."""
    heads: Positive = 4
    """Attention heads of transformer blocks; divides `width`."""
    modes: Positive = 16
    """Fourier modes of the token grid that a transformer block mixes, per axis (fewer on small grids)."""

    def block_cells(self, dim: int) -> int:
        """Cells of a grid along an axis of one cell, or token, of the coarsest level."""
        return at(self.patch, dim) * (1 if self.trunk == "pdet_stack" else COARSER)

    def cells_seen(self, dim: int) -> int | None:
        """See :class:`BlockModelConfig`; all cells with the attention of the transformer trunks."""
        if self.trunk != "multiscale":
            return None
        reach, patch = at(self.kernel, dim) // 2, at(self.patch, dim)
        middle = at(self.middle_blocks, dim) * reach
        up = reach // patch + middle
        coarse = up // COARSER + at(self.depth, dim) * reach
        down = max(up, COARSER * coarse + COARSER - 1) + middle
        fine = patch * down + patch - 1 + (reach if dim == 1 else 0)
        return fine + LIFT_KERNEL // 2 + 1

    def local(self, task: TaskInfo) -> bool:
        """See :class:`ups_core.ModelConfig`; the propagator of a periodic evolution sees all cells."""
        return super().local(task) and not (task.kind == "evolution" and all(task.periodic))

    def check(self, tasks: Mapping[str, TaskInfo]) -> Issues:
        """Even kernels, heads that do not divide the width, periodic grids smaller than a convolution, uneven
        grids."""
        problems = uneven_grids(tasks) + [
            (f"kernel.{dim}", f"kernel {size} is even; use an odd one, which keeps the grid")
            for dim, size in self.kernel.items()
            if size % 2 == 0
        ]
        if self.trunk != "multiscale" and self.width % self.heads:
            problems.append(
                ("heads", f"heads {self.heads} does not divide width {self.width}; use a divisor")
            )
        for task in tasks.values():
            # The transformer trunks use this kernel at full resolution only.
            multiscale = self.trunk == "multiscale"
            kernel, block = at(self.kernel, task.dim), self.block_cells(task.dim) if multiscale else 1
            if message := _too_few_cells(task, block, kernel):
                way = "use a smaller kernel" + (" or patch" if multiscale else "")
                problems.append((f"kernel.{key_at(self.kernel, task.dim)}", f"{message}; {way}"))
        return problems


def _too_many_modes(task: TaskInfo, modes: int) -> str | None:
    smallest = min(task.shape)
    if modes <= smallest // 2:
        return None
    return (
        f"{modes} modes need {2 * modes} cells; task '{task.name}' has {smallest} "
        f"(at most {smallest // 2} modes)"
    )


def _too_few_cells(task: TaskInfo, block: int, kernel: int) -> str | None:
    """Padding wraps around or mirrors once, so the coarsest level needs half of a kernel's cells."""
    needed = kernel // 2
    for cells, sides in zip(task.shape, task.sides, strict=True):
        wraps, mirrors = "periodic" in sides, "wall" in sides
        if (wraps or mirrors) and extended(cells, block, wraps) // block < needed:
            kind = "periodic convolution" if wraps else "convolution between walls"
            blocks = f" on blocks of {block}" if block > 1 else ""
            return (
                f"task '{task.name}' has {cells} cells along an axis; a {kind} of {kernel} cells"
                f"{blocks} needs at least {needed * block}"
            )
    return None


def uneven_grids(tasks: Mapping[str, TaskInfo]) -> list[tuple[str, str]]:
    """Tasks whose points are not evenly spaced, which convolutions and Fourier series need."""
    return [
        (
            "kind",
            f"task '{task.name}': its points along axis {axis} are not evenly spaced, which this model "
            "needs; "
            "interpolate them to an even grid",
        )
        for task in tasks.values()
        for axis, even in enumerate(task.uniform)
        if not even
    ]
