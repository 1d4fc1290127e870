"""Values between observed points."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ups_models.prior.filling import fill


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_observed_values_stay_and_others_lie_between_them(shape: list[int], share: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 1, *shape, generator=random)
    mask = (torch.rand(values.shape, generator=random) < share).float()
    found = fill(values, mask)
    assert torch.equal(found[mask > 0], values[mask > 0])
    for row in range(2):
        seen = values[row][mask[row] > 0]
        low, high = (seen.min(), seen.max()) if len(seen) else (torch.tensor(0.0), torch.tensor(0.0))
        assert found[row].min() >= low - 1e-5
        assert found[row].max() <= high + 1e-5


@pytest.mark.parametrize("shape", [(64,), (33, 20), (12, 7, 9)])
def test_one_point_fills_everything(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(1, 1, *shape)
    mask[0, 0].view(-1)[mask.numel() // 3] = 1
    torch.testing.assert_close(fill(torch.full_like(mask, 2.5), mask), torch.full_like(mask, 2.5))


def test_a_smooth_field_is_nearly_found() -> None:
    x = torch.linspace(0, 3, 64)
    field = (x[:, None].sin() + x.cos())[None, None]
    mask = (torch.rand(field.shape, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    error = (fill(field, mask) - field).norm() / field.norm()
    assert error < 0.15
    assert (mask * field - field).norm() / field.norm() > 0.9


def test_samples_and_channels_do_not_mix() -> None:
    values = torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(1))
    mask = (torch.rand(values.shape, generator=torch.Generator().manual_seed(2)) < 0.3).float()
    together = fill(values, mask)
    torch.testing.assert_close(together[1:2, 1:], fill(values[1:2, 1:], mask[1:2, 1:]), rtol=0, atol=0)
