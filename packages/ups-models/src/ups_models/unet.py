"""A U-Net of ConvNeXt blocks, the convolutional baseline.

Its shape is that of Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
arXiv 1505.04597; its blocks are those of Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.config import LIFT_KERNEL, UNET_KERNEL, UNetConfig
from ups_models.layers.convolution import CONV, ConvNeXtBlock, channels_last, grid_conv, zero_conv
from ups_models.layers.tiling import BlockGrid
from ups_models.network import PerTaskNetwork, lifted_channels, out_channels
from ups_models.per_dimension import at


class UNet(PerTaskNetwork):
    """One U-Net per task; maps a :class:`NetworkInput` to `(B, Cout, *S)`.

    Args:
        config: width, number of resolutions and blocks.
        tasks: task name -> the problem, on a grid of any size (:mod:`ups_models.layers.tiling`).
    """

    def __init__(self, config: UNetConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__(tasks, lambda task: TaskUNet(config, task))


class TaskUNet(nn.Module):
    """Blocks on ever coarser grids and back, with skip connections.

    Args:
        config: width, number of resolutions and blocks.
        task: gives the boundary and the channels: `(B, lifted_channels, *S)` to `(B, Cout, *S)`.
    """

    def __init__(self, config: UNetConfig, task: TaskInfo) -> None:
        super().__init__()
        dim, sides = task.dim, task.sides
        self.sides, self.block = sides, config.block_cells(dim)
        widths = [at(config.width, dim) * 2**level for level in range(at(config.levels, dim))]

        def blocks(width: int) -> nn.Sequential:
            return nn.Sequential(
                *(ConvNeXtBlock(width, sides=sides, kernel=UNET_KERNEL) for _ in range(config.blocks))
            )

        self.lift = grid_conv(lifted_channels(task), widths[0], LIFT_KERNEL, sides=sides)
        self.down_blocks = nn.ModuleList(blocks(width) for width in widths)
        self.down = nn.ModuleList(CONV[dim](fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(CONV[dim](fine + coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up_blocks = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.head = zero_conv(dim, widths[0], out_channels(task))
        if dim == 2:
            # Weights in the layout of the fields, or every convolution would convert them.
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """`(B, Cin, *S)` to `(B, Cout, *S)`."""
        grid = BlockGrid(tuple(x.shape[2:]), self.block, self.sides)
        hidden = self.lift(channels_last(grid.extend(x.movedim(1, -1)).movedim(-1, 1)))
        skips = []
        for level, block in enumerate(self.down_blocks):
            hidden = block(hidden)
            if level < len(self.down):
                skips.append(hidden)
                hidden = self.down[level](hidden)
        for level in reversed(range(len(self.up))):
            # Copying cells and mixing channels: a transposed convolution would leave a checkerboard.
            hidden = nn.functional.interpolate(hidden, scale_factor=2.0, mode="nearest")
            hidden = self.up_blocks[level](self.up[level](torch.cat([hidden, skips[level]], dim=1)))
        return grid.restore(self.head(hidden).movedim(1, -1)).movedim(-1, 1)
