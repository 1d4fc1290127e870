"""The trunks: how transformer blocks are arranged over resolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ups_models.config import LatentOperatorConfig
from ups_models.latent.block import Block
from ups_models.latent.codec import patchify, unpatchify


def build_trunk(config: LatentOperatorConfig, dims: Sequence[int]) -> nn.Module:
    """The trunk that the options name, for token grids of these dimensions."""
    return {"pdet_stack": PdetStack, "pdet_unet": PdetUNet}[config.trunk](config, dims)


def _blocks(config: LatentOperatorConfig, dims: Sequence[int], count: int) -> nn.ModuleList:
    return nn.ModuleList(
        Block(dims, config.width, config.heads, config.modes, config.mlp_ratio) for _ in range(count)
    )


class PdetStack(nn.Module):
    """All blocks at one resolution."""

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]):
        super().__init__()
        self.blocks = _blocks(config, dims, config.depth)

    def forward(self, tokens: Tensor, condition: Tensor, periodic: bool) -> Tensor:
        """Tokens `(B, *G, D)` to tokens."""
        for block in self.blocks:
            tokens = block(tokens, condition, periodic)
        return tokens


class PdetUNet(nn.Module):
    """Blocks at the token grid, most of them on a grid half as fine, and blocks at the token grid again."""

    def __init__(self, config: LatentOperatorConfig, dims: Sequence[int]):
        super().__init__()
        outer = max(1, config.depth // 4)
        self.down_blocks = _blocks(config, dims, outer)
        self.inner_blocks = _blocks(config, dims, max(1, config.depth - 2 * outer))
        self.up_blocks = _blocks(config, dims, outer)
        width = config.width
        self.merge = nn.ModuleDict({str(dim): nn.Linear(width * 2**dim, width) for dim in dims})
        self.split = nn.ModuleDict({str(dim): nn.Linear(width, width * 2**dim) for dim in dims})

    def forward(self, tokens: Tensor, condition: Tensor, periodic: bool) -> Tensor:
        """Tokens `(B, *G, D)` to tokens; G is even."""
        for block in self.down_blocks:
            tokens = block(tokens, condition, periodic)
        dim = str(tokens.dim() - 2)
        coarse = self.merge[dim](patchify(tokens.movedim(-1, 1), 2))
        for block in self.inner_blocks:
            coarse = block(coarse, condition, periodic)
        tokens = tokens + unpatchify(self.split[dim](coarse), 2).movedim(1, -1)
        for block in self.up_blocks:
            tokens = block(tokens, condition, periodic)
        return tokens
