"""The trunks by name, and two token transformers after PDE-Transformer.

Holzschuh et al., "PDE-Transformer: Efficient and Versatile Transformers for Physics Simulations",
arXiv 2505.24717: transformer blocks with AdaLN on patches of cells, at one resolution or with a coarser level
between. Here attention is global and every block also mixes the token grid directly
(:class:`~ups_models.latent.block.GridMixer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ups_data.info import Sides
from ups_models.config import COARSER, LatentOperatorConfig
from ups_models.latent.block import Block
from ups_models.latent.convnext import ModulatedConvNeXt
from ups_models.latent.multiscale import FINE_RATIO, MultiscaleTrunk
from ups_models.latent.patches import fold, unfold
from ups_models.layers.tiling import BlockGrid
from ups_models.per_dimension import at


def build_trunk(config: LatentOperatorConfig, dims: Sequence[int]) -> nn.Module:
    """The trunk that the option `trunk` names, for grids of these dimensions.

    It maps features `(B, *S, F)`, a condition `(B, condition_width)` and the boundaries at both ends of every
    axis to features `(B, *S, F)`.
    """
    kinds = {"multiscale": MultiscaleTrunk, "pdet_stack": PdetStack, "pdet_unet": PdetUNet}
    return kinds[config.trunk](config, dims)


class TokenTrunk(nn.Module, ABC):
    """Features to tokens, transformer blocks, tokens to features, a convolutional block at full resolution.

    Args:
        config: F (`local_width`), D (`width`), patch, number of blocks (`depth`), heads, modes.
        dims: grid dimensions of the tasks.
    """

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]) -> None:
        super().__init__()
        self.patches = {dim: at(config.patch, dim) for dim in dims}
        self.block_cells = {dim: config.block_cells(dim) for dim in dims}
        cells = {dim: at(config.local_width, dim) * at(config.patch, dim) ** dim for dim in dims}
        self.embed = nn.ModuleDict({str(dim): nn.Linear(cells[dim], config.width) for dim in dims})
        self.unembed = nn.ModuleDict({str(dim): nn.Linear(config.width, cells[dim]) for dim in dims})
        self.refine = nn.ModuleDict({str(dim): _fine_block(config, dim) for dim in dims})

    def forward(self, features: Tensor, condition: Tensor, sides: tuple[Sides, ...]) -> Tensor:
        """Features `(B, *S, F)` and condition `(B, condition_width)` to features."""
        shape, dim = features.shape[1:-1], features.dim() - 2
        patch, grid = self.patches[dim], BlockGrid(tuple(shape), self.block_cells[dim], sides)
        cells = grid.extend(features)
        tokens = self.transform(self.embed[str(dim)](fold(cells, patch)), condition, grid)
        cells = cells + unfold(self.unembed[str(dim)](tokens), patch)
        return grid.restore(self.refine[str(dim)](cells, condition, sides))

    @abstractmethod
    def transform(self, tokens: Tensor, condition: Tensor, grid: BlockGrid) -> Tensor:
        """Tokens `(B, *G, D)` of the grid of cells to tokens."""


class PdetStack(TokenTrunk):
    """All transformer blocks at one resolution.

    Args: as for :class:`TokenTrunk`.
    """

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]) -> None:
        super().__init__(config, dims)
        self.blocks = _blocks(config, dims, _token_depth(config, dims))

    def transform(self, tokens: Tensor, condition: Tensor, grid: BlockGrid) -> Tensor:
        """Tokens `(B, *G, D)` of the grid of cells to tokens."""
        for block in self.blocks:
            tokens = block(tokens, condition, grid.sides, grid.copies)
        return tokens


class PdetUNet(TokenTrunk):
    """Transformer blocks at the token grid, on a grid half as fine (most of them), and at the token grid.

    Args: as for :class:`TokenTrunk`.
    """

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]) -> None:
        super().__init__(config, dims)
        depth = _token_depth(config, dims)
        outer = max(1, depth // 4)
        self.down_blocks = _blocks(config, dims, outer)
        self.inner_blocks = _blocks(config, dims, max(1, depth - 2 * outer))
        self.up_blocks = _blocks(config, dims, outer)
        width = config.width
        self.merge = nn.ModuleDict({str(dim): nn.Linear(width * COARSER**dim, width) for dim in dims})
        self.split = nn.ModuleDict({str(dim): nn.Linear(width, width * COARSER**dim) for dim in dims})

    def transform(self, tokens: Tensor, condition: Tensor, grid: BlockGrid) -> Tensor:
        """Tokens `(B, *G, D)` of the grid of cells to tokens."""
        for block in self.down_blocks:
            tokens = block(tokens, condition, grid.sides, grid.copies)
        dim = str(tokens.dim() - 2)
        coarse = self.merge[dim](fold(tokens, COARSER))
        for block in self.inner_blocks:
            coarse = block(coarse, condition, grid.sides, grid.copies)
        tokens = tokens + unfold(self.split[dim](coarse), COARSER)
        for block in self.up_blocks:
            tokens = block(tokens, condition, grid.sides, grid.copies)
        return tokens


def _fine_block(config: LatentOperatorConfig, dim: int) -> ModulatedConvNeXt:
    """The convolutional block at full resolution."""
    kernels = {dim: at(config.kernel, dim)}
    return ModulatedConvNeXt(kernels, at(config.local_width, dim), config.condition_width, FINE_RATIO)


def _blocks(config: LatentOperatorConfig, dims: Sequence[int], count: int) -> nn.ModuleList:
    return nn.ModuleList(
        Block(dims, config.width, config.heads, config.modes, config.mlp_ratio, config.condition_width)
        for _ in range(count)
    )


def _token_depth(config: LatentOperatorConfig, dims: Sequence[int]) -> int:
    """Number of transformer blocks: all tasks pass through all of them."""
    # Attention does not know the grid, so a block that one dimension needs serves all.
    return max(at(config.depth, dim) for dim in dims)
