"""The multi-scale trunk: convolutional blocks on three grids, from the finest to the coarsest and back.

Coarse grids carry global information (elliptic problems), the fine one sharp structures (fronts, interfaces).
There is no normalisation between the last block and the decoder: it would remove the amplitude of the
features, and doubled the error of rollouts (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ups_data.info import Sides
from ups_models.config import COARSER, LatentOperatorConfig
from ups_models.latent.convnext import ModulatedConvNeXt
from ups_models.latent.patches import fold, unfold
from ups_models.layers.tiling import BlockGrid
from ups_models.per_dimension import at

FINE_RATIO = 4.0
"""Hidden width of a block on the finest grid over its channels, which are few."""


class MultiscaleTrunk(nn.Module):
    """Features `(B, *S, F)` to features of the same shape.

    Tasks of different grid dimension share the matrices of the middle and the coarsest grid.

    Args:
        config: F (`local_width`), widths and number of blocks of the coarser grids, patch, kernel.
        dims: grid dimensions of the tasks.
    """

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.fine_down = _fine(config, [dim for dim in dims if dim == 1])
        self.fine_up = _fine(config, dims)
        block = {dim: at(config.local_width, dim) * at(config.patch, dim) ** dim for dim in dims}
        self.enter = _linear({dim: (block[dim], config.middle_width) for dim in dims})
        self.leave = _linear({dim: (config.middle_width, block[dim]) for dim in dims})
        middle = {dim: at(config.middle_blocks, dim) for dim in dims}
        self.middle_down = _blocks(config, config.middle_width, middle)
        self.middle_up = _blocks(config, config.middle_width, middle)
        block = {dim: config.middle_width * COARSER**dim for dim in dims}
        self.coarsen = _linear({dim: (block[dim], config.width) for dim in dims})
        self.refine = _linear({dim: (config.width, block[dim]) for dim in dims})
        self.coarse = _blocks(config, config.width, {dim: at(config.depth, dim) for dim in dims})

    def forward(self, features: Tensor, condition: Tensor, sides: tuple[Sides, ...]) -> Tensor:
        """Features `(B, *S, F)` and condition `(B, condition_width)` to features."""

        def run(blocks: nn.Module, x: Tensor) -> Tensor:
            for block in blocks.children():
                assert isinstance(block, ModulatedConvNeXt)
                if block.works_on(len(shape)):
                    x = block(x, condition, sides)
            return x

        shape, dim = features.shape[1:-1], str(features.dim() - 2)
        patch = at(self.config.patch, len(shape))
        grid = BlockGrid(tuple(shape), self.config.block_cells(len(shape)), sides)
        fine = grid.extend(features)
        if dim in self.fine_down:
            fine = run(self.fine_down[dim], fine)
        middle = run(self.middle_down, self.enter[dim](fold(fine, patch)))
        coarse = run(self.coarse, self.coarsen[dim](fold(middle, COARSER)))
        middle = run(self.middle_up, middle + unfold(self.refine[dim](coarse), COARSER))
        fine = run(self.fine_up[dim], fine + unfold(self.leave[dim](middle), patch))
        return grid.restore(fine)


def _fine(config: LatentOperatorConfig, dims: Sequence[int]) -> nn.ModuleDict:
    """A block at full resolution for every dimension."""

    def block(dim: int) -> ModulatedConvNeXt:
        kernels = {dim: at(config.kernel, dim)}
        return ModulatedConvNeXt(kernels, at(config.local_width, dim), config.condition_width, FINE_RATIO)

    return nn.ModuleDict({str(dim): nn.ModuleList([block(dim)]) for dim in dims})


def _blocks(config: LatentOperatorConfig, width: int, counts: Mapping[int, int]) -> nn.ModuleList:
    """As many blocks as the largest count; block n serves all dimensions with more than n blocks."""
    kernels = [
        {dim: at(config.kernel, dim) for dim, count in counts.items() if number < count}
        for number in range(max(counts.values()))
    ]
    return nn.ModuleList(
        ModulatedConvNeXt(served, width, config.condition_width, config.mlp_ratio) for served in kernels
    )


def _linear(sizes: Mapping[int, tuple[int, int]]) -> nn.ModuleDict:
    return nn.ModuleDict({str(dim): nn.Linear(*size) for dim, size in sizes.items()})
