"""What lies beyond the ends of a grid, by the boundary there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_data.info import Boundary, Sides, everywhere
from ups_models.layers.convolution import grid_conv
from ups_models.layers.padding import MODES, pad_grid

NUMPY = {"circular": "wrap", "constant": "constant", "replicate": "edge", "symmetric": "symmetric"}
ENDS = st.one_of(
    st.just(("periodic", "periodic")),
    st.tuples(*[st.sampled_from(["dirichlet", "neumann", "open", "wall"])] * 2),
)


@given(sides=st.lists(ENDS, min_size=1, max_size=3), cells=st.integers(0, 3))
def test_every_end_is_padded_by_its_boundary(sides: list[Sides], cells: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *range(4, 4 + len(sides)))).astype(np.float32)
    expected = x
    for axis, ends in enumerate(sides, start=2):
        for number, end in enumerate(ends):
            if ends == ("periodic", "periodic") and number == 1:
                continue
            both = (cells, cells) if end == "periodic" else (cells * (1 - number), cells * number)
            widths = [(0, 0)] * expected.ndim
            widths[axis] = both
            # What is beyond the low end follows from the grid alone, not from what was put beyond the high end.
            expected = np.pad(expected, widths, mode=NUMPY[MODES[end]])
    assert np.array_equal(pad_grid(torch.from_numpy(x), cells, sides).numpy(), expected)


@pytest.mark.parametrize("boundary", MODES)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_convolution_pads_like_the_grid(boundary: Boundary, dim: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *[5] * dim)
    conv = grid_conv(3, 4, 3, sides=everywhere(boundary, dim))
    with torch.no_grad():
        plain = torch.nn.functional.conv1d if dim == 1 else getattr(torch.nn.functional, f"conv{dim}d")
        weight, bias = conv.parameters()
        wanted = plain(pad_grid(x, 1, everywhere(boundary, dim)), weight, bias)
        assert torch.allclose(conv(x), wanted, atol=1e-6)


def test_ends_may_differ() -> None:
    torch.manual_seed(0)
    channel: tuple[Sides, ...] = (("periodic", "periodic"), ("dirichlet", "open"))
    conv = grid_conv(1, 1, 3, sides=channel)
    x = torch.randn(1, 1, 6, 5)
    with torch.no_grad():
        assert torch.allclose(conv(x.roll(2, dims=2)), conv(x).roll(2, dims=2), atol=1e-6), (
            "along the channel"
        )
        assert not torch.allclose(conv(x.roll(2, dims=3)), conv(x).roll(2, dims=3), atol=1e-3), (
            "but not across"
        )
