"""A transformer block on a grid of tokens: attention, grid mixing and an MLP, modulated by the condition.

The modulation is AdaLN-zero of Peebles and Xie, "Scalable Diffusion Models with Transformers", arXiv
2212.09748: shift, scale and gate of every branch are linear in the condition and start at zero, so a block
starts as the identity. (The convolutional blocks of :mod:`ups_models.latent.convnext` start with open gates.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ups_data.info import Sides
from ups_models.layers.convolution import CONV
from ups_models.layers.norm import LayerNorm
from ups_models.layers.padding import pad_grid
from ups_models.layers.spectral import DepthwiseSpectral
from ups_models.layers.tiling import along_copies, around_circle

KERNEL = 3


class Attention(nn.Module):
    """Multi-head self-attention over all tokens, queries and keys normalised per head.

    Args:
        width: D of the tokens `(B, *G, D)`.
        heads: number of heads; divides D.
    """

    def __init__(self, width: int, heads: int) -> None:
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
            heads.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for heads in self.qkv(tokens).chunk(3, dim=-1)
        )
        # Back to the precision around: the norms give float32, but attention needs one type.
        query, key = self.query_norm(query).to(value), self.key_norm(key).to(value)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out.reshape(x.shape)


class GridMixer(nn.Module):
    """Mixes neighbours (depth-wise convolution) and waves (Fourier modes), which attention does badly.

    Args:
        dims: grid dimensions that it works on; each has weights of its own, the last projection is shared.
        width: D of the tokens `(B, *G, D)`.
        modes: Fourier modes kept per axis of the token grid.
    """

    def __init__(self, dims: Sequence[int], width: int, modes: int) -> None:
        super().__init__()
        self.local = nn.ModuleDict({str(dim): CONV[dim](width, width, KERNEL, groups=width) for dim in dims})
        self.waves = nn.ModuleDict({str(dim): DepthwiseSpectral(dim, width, modes) for dim in dims})
        self.out = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, sides: Sequence[Sides], copies: Sequence[int] = ()) -> Tensor:
        """`(B, *G, D)` to the same shape; `copies` says how often each axis was repeated, by default once."""
        grid = x.movedim(-1, 1)
        dim = str(grid.dim() - 2)
        padded = pad_grid(grid, KERNEL // 2, sides)
        waves = along_copies(self.waves[dim](around_circle(grid, copies)), copies, grid.shape[2:])
        # The spectral layer computes in float32 whatever the precision around it.
        both = torch.cat([self.local[dim](padded), waves.to(grid.dtype)], dim=1)
        out: Tensor = self.out(nn.functional.gelu(both.movedim(1, -1)))
        return out


class Block(nn.Module):
    """Attention, grid mixing and MLP in turn, each added to its input.

    Args:
        dims: grid dimensions that it works on.
        width: D of the tokens `(B, *G, D)`.
        heads: attention heads; divides D.
        modes: Fourier modes kept per axis of the token grid.
        mlp_ratio: hidden width of the MLP over D.
        condition: length of the condition vector `(B, condition)`.
    """

    def __init__(
        self, dims: Sequence[int], width: int, heads: int, modes: int, mlp_ratio: float, condition: int
    ) -> None:
        super().__init__()
        hidden = round(width * mlp_ratio)
        self.attention = Attention(width, heads)
        self.mixer = GridMixer(dims, width, modes)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.norm = LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 9 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self, x: Tensor, condition: Tensor, sides: Sequence[Sides], copies: Sequence[int] = ()
    ) -> Tensor:
        """Tokens `(B, *G, D)` and condition `(B, condition)` to tokens; `copies` as in :class:`GridMixer`."""
        per_token = (x.shape[0], *([1] * (x.dim() - 2)), 9, -1)
        shift1, scale1, gate1, shift2, scale2, gate2, shift3, scale3, gate3 = (
            self.modulation(condition).reshape(per_token).unbind(dim=-2)
        )
        x = x + gate1 * self.attention(self._modulate(x, shift1, scale1))
        x = x + gate2 * self.mixer(self._modulate(x, shift2, scale2), sides, copies)
        x = x + gate3 * self.mlp(self._modulate(x, shift3, scale3))
        return x

    def _modulate(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        normed: Tensor = self.norm(x)
        return normed * (1 + scale) + shift
