"""The best linear estimate of fields from a few values."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ups_models.prior import linear_estimate
from ups_models.prior.linear_estimate import LinearEstimate

SHAPE = (2, 12, 10)


def fields(count: int, seed: int = 0) -> Tensor:
    """Fields of four random waves; the second channel follows from the first."""
    x, y = torch.meshgrid(torch.linspace(0, 1, 12), torch.linspace(0, 1, 10), indexing="ij")
    waves = torch.stack([(3 * x).sin(), (2 * y).cos(), x * y, x - y]).double()
    weights = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)).double()
    first = torch.einsum("bk,kxy->bxy", weights, waves)
    second = torch.einsum("bk,kxy->bxy", weights.flip(1), waves)
    return torch.stack([first, second], dim=1)


def fitted(samples: Tensor) -> LinearEstimate:
    made = LinearEstimate(SHAPE, 1).double()
    made.fit(samples)
    return made


def mask_of(share: float, count: int, seed: int = 1) -> Tensor:
    return (torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) < share).double()


def test_a_few_points_give_fields_of_few_waves() -> None:
    made, new = fitted(fields(500)), fields(5, seed=9)
    mask = mask_of(0.2, 5)
    mask[:, 1] = 0  # points of the first channel alone
    found = made(new * mask, mask, torch.zeros(5, 2).double())
    assert (found - new).norm() / new.norm() < 1e-2


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_it_is_the_conditional_mean_of_a_normal_distribution(share: float, noise: float, seed: int) -> None:
    samples = (
        fields(200) + 0.3 * torch.randn(200, *SHAPE, generator=torch.Generator().manual_seed(2)).double()
    )
    made, new, mask = fitted(samples), fields(1, seed), mask_of(share, 1, seed)
    found = made(new * mask, mask, torch.full((1, 2), noise).double()).flatten()
    covariance = made.modes @ made.modes.T
    seen = mask.flatten() > 0
    of_points = covariance[seen][:, seen] + torch.diag(made.residual_variance[seen] + noise**2)
    known = covariance[:, seen] @ torch.linalg.solve(of_points, new.flatten()[seen])
    torch.testing.assert_close(found, known, rtol=1e-6, atol=1e-8)


def test_modes_and_what_they_leave_out_have_the_variance_of_the_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear_estimate, "MAX_MODES", 3)
    samples = torch.randn(400, *SHAPE, generator=torch.Generator().manual_seed(3)).double()
    made = fitted(samples)
    assert made.modes.shape == (240, 3)
    variance = made.modes.square().sum(dim=1) + made.residual_variance
    torch.testing.assert_close(variance, samples.flatten(1).square().mean(dim=0))


def test_points_alone_and_all_with_weights_agree() -> None:
    made, new, mask = fitted(fields(300)), fields(4, seed=5), mask_of(0.1, 4)
    variance = torch.full((4, 240), 0.01).double()
    weight = mask.flatten(1) / (made.residual_variance + variance)
    values = (new * mask).flatten(1)
    by_points = torch.stack([made._of_points(*row) for row in zip(values, weight > 0, weight, strict=True)])
    torch.testing.assert_close(made._of_all(values, weight), by_points)


def test_complete_coefficients_are_a_case_of_many_points() -> None:
    made, new = fitted(fields(300) + 0.1 * torch.randn(300, *SHAPE).double()), fields(3, seed=6)
    mask = torch.zeros(3, *SHAPE).double()
    mask[:, :1] = 1
    known = made(new * mask, mask, torch.zeros(3, 2).double())
    torch.testing.assert_close(made.given_coefficients(new[:, :1]), known)


def test_nothing_observed_says_nothing_and_few_samples_suffice() -> None:
    made = fitted(fields(2))
    assert torch.equal(
        made(fields(1), torch.zeros(1, *SHAPE).double(), torch.zeros(1, 2)), torch.zeros(1, *SHAPE).double()
    )
    assert (made.modes[:, 1:] == 0).all()


def test_what_the_modes_leave_out_is_as_large_in_other_samples() -> None:
    """Of white noise, which no number of modes explains."""
    random = torch.Generator().manual_seed(4)
    made = fitted(torch.randn(64, *SHAPE, generator=random).double())
    other = torch.randn(500, *SHAPE, generator=random).double()
    basis = torch.linalg.qr(made.modes[:, made.modes.square().sum(dim=0) > 0])[0]
    left = other.flatten(1) - other.flatten(1) @ basis @ basis.T
    assert 0.7 < float(made.residual_variance.mean() / left.square().mean()) <= 1


def test_large_fields_have_fewer_modes() -> None:
    assert LinearEstimate((2, 64, 64), 1).modes.shape == (8192, 128)
    assert LinearEstimate((2, 64, 64, 64), 1).modes.shape == (524288, 32)
