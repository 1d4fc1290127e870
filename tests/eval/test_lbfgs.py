"""L-BFGS of many functions at once: minima that are known, and independence of each other."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ups_eval.observations.lbfgs import minimise


def quadratic(seed: int, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Positive definite matrices with a condition of 1000, and minima."""
    random = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(count, size, size, generator=random, dtype=torch.float64))[0]
    curvatures = torch.logspace(0, 3, size, dtype=torch.float64)
    return basis @ (curvatures[:, None] * basis.mT), torch.randn(count, size, generator=random).double()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), count=st.integers(1, 5), size=st.integers(1, 12))
def test_quadratic_functions_have_their_minimum(seed: int, count: int, size: int) -> None:
    matrices, minima = quadratic(seed, count, size)

    def function(place: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        away = place - minima[rows]
        slopes = (matrices[rows] @ away[:, :, None])[:, :, 0]
        return (away * slopes).sum(dim=1) / 2 + 1e-3, slopes

    found = minimise(function, torch.zeros(count, size, dtype=torch.float64), 500)
    assert (found - minima).abs().max() < 1e-2


def rosenbrock(place: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """With valleys of different steepness."""
    place = place.detach().requires_grad_()
    x, y = place.unbind(dim=1)
    values = (1 - x) ** 2 + 10.0 * (rows + 1) * (y - x**2) ** 2
    (slopes,) = torch.autograd.grad(values.sum(), place)
    return values.detach(), slopes


def test_a_curved_valley_is_followed() -> None:
    start = torch.tensor([[-1.2, 1.0], [2.0, 2.0], [0.0, -3.0]], dtype=torch.float64)
    found = minimise(rosenbrock, start, 300)
    torch.testing.assert_close(found, torch.ones(3, 2, dtype=torch.float64), rtol=0, atol=1e-3)


def test_no_function_depends_on_the_others() -> None:
    """Not even where one is hard or not a number."""
    start = torch.tensor([[-1.2, 1.0], [2.0, 2.0], [0.0, -3.0]], dtype=torch.float64)

    def with_failure(place: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        values, slopes = rosenbrock(place, rows)
        return torch.where(rows == 1, torch.nan, values), slopes

    together = minimise(with_failure, start, 40)
    for row in (0, 2):
        alone = minimise(
            lambda place, _, row=row: rosenbrock(place, torch.tensor([row])), start[row : row + 1], 40
        )  # type: ignore[misc]
        assert torch.equal(together[row], alone[0])
    assert torch.equal(together[1], start[1]), "nothing to follow"
