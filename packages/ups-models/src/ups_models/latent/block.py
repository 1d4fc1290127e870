"""One transformer block on a grid of latent tokens: attention, grid mixing and an MLP, each gated by AdaLN.

AdaLN-zero (Peebles and Xie 2023): shift, scale and gate of every branch come from the condition vector, and
the gates start at zero, so that a block starts as the identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ups_models.layers.convolution import CONV
from ups_models.layers.norm import LayerNorm
from ups_models.layers.spectral import DepthwiseSpectral

KERNEL = 3


class Attention(nn.Module):
    """Multi-head self-attention over all tokens, queries and keys normalised per head."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.query_norm = LayerNorm(width // heads)
        self.key_norm = LayerNorm(width // heads)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, *G, D)` to the same shape."""
        tokens = x.flatten(1, -2)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(tokens).chunk(3, dim=-1)
        )
        query, key = (norm(part).to(value) for norm, part in ((self.query_norm, query), (self.key_norm, key)))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out.reshape(x.shape)


class GridMixer(nn.Module):
    """What attention is bad at: neighbours (depth-wise convolution) and waves (depth-wise Fourier modes)."""

    def __init__(self, dims: Sequence[int], width: int, modes: int):
        super().__init__()
        self.local = nn.ModuleDict({str(dim): CONV[dim](width, width, KERNEL, groups=width) for dim in dims})
        self.waves = nn.ModuleDict({str(dim): DepthwiseSpectral(dim, width, modes) for dim in dims})
        self.out = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, periodic: bool) -> Tensor:
        """`(B, *G, D)` to the same shape."""
        grid = x.movedim(-1, 1)
        dim = str(grid.dim() - 2)
        edges = (KERNEL // 2,) * (2 * (grid.dim() - 2))
        padded = nn.functional.pad(grid, edges, mode="circular" if periodic else "constant")
        both = torch.cat([self.local[dim](padded), self.waves[dim](grid).to(grid.dtype)], dim=1)
        out: Tensor = self.out(nn.functional.gelu(both.movedim(1, -1)))
        return out


class Block(nn.Module):
    """Attention, grid mixing and MLP in turn."""

    def __init__(
        self, dims: Sequence[int], width: int, heads: int, modes: int, mlp_ratio: float, condition: int
    ):
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.attention = Attention(width, heads)
        self.mixer = GridMixer(dims, width, modes)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm = LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 9 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor, periodic: bool) -> Tensor:
        """Tokens `(B, *G, D)` and condition vector to tokens."""
        parts = self.modulation(condition).reshape(len(x), *([1] * (x.dim() - 2)), 9, -1).unbind(dim=-2)
        x = x + parts[2] * self.attention(self._modulate(x, parts[0], parts[1]))
        x = x + parts[5] * self.mixer(self._modulate(x, parts[3], parts[4]), periodic)
        x = x + parts[8] * self.mlp(self._modulate(x, parts[6], parts[7]))
        return x

    def _modulate(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed * (1 + scale) + shift
