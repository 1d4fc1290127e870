"""The five-point scheme of -∇·(a∇u) on cells, many media at once, and multigrid for it.

Faces have the arithmetic mean of the coefficients of their two cells. One V-cycle with damped Jacobi
smoothing, bilinear interpolation and its adjoint, and averaged coefficients on coarser grids (Trottenberg,
Oosterlee and Schüller, Multigrid, 2001) is a symmetric preconditioner of conjugate gradients (Tatebe, "The
multigrid preconditioned conjugate gradient method", 1993).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ups_data.generators.darcy import Walls

DAMPING = 0.8
"""Factor of a Jacobi step; 4/5 smooths best in two dimensions."""
DENSE = 256
"""Most cells of a grid that is solved directly."""
SWEEPS = 8
"""Jacobi steps on a coarsest grid that is too fine for that, because it cannot be halved."""


class FivePoint:
    """The scheme for B media on one grid.

    Args:
        coefficient: a > 0 `(B, nx, ny)`.
        spacing: distance between neighbouring points along x and y.
        walls: distances of the outermost points from the boundary, where u = 0.
    """

    def __init__(self, coefficient: Tensor, spacing: tuple[float, float], walls: Walls) -> None:
        self.coefficient = coefficient
        self.spacing = spacing
        self.walls = walls
        padded = nn.functional.pad(coefficient[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        x_faces = 0.5 * (padded[:, 1:, 1:-1] + padded[:, :-1, 1:-1]) / spacing[0] ** 2
        y_faces = 0.5 * (padded[:, 1:-1, 1:] + padded[:, 1:-1, :-1]) / spacing[1] ** 2
        self.x_faces = _at_walls(x_faces, 1, walls[0])
        self.y_faces = _at_walls(y_faces, 2, walls[1])
        self.diagonal = (
            self.x_faces[:, 1:] + self.x_faces[:, :-1] + self.y_faces[:, :, 1:] + self.y_faces[:, :, :-1]
        )

    def __call__(self, field: Tensor) -> Tensor:
        """-∇·(a∇u) of fields `(B, nx, ny)`."""
        x_flux = self.x_faces * torch.diff(nn.functional.pad(field, (0, 0, 1, 1)), dim=1)
        y_flux = self.y_faces * torch.diff(nn.functional.pad(field, (1, 1)), dim=2)
        return -(torch.diff(x_flux, dim=1) + torch.diff(y_flux, dim=2))

    def coarser(self) -> FivePoint | None:
        """The scheme on cells of twice the size; None where the grid cannot be halved, or need not be."""
        _, rows, columns = self.coefficient.shape
        if rows % 2 or columns % 2 or rows * columns <= DENSE:
            return None
        mean = nn.functional.avg_pool2d(self.coefficient[:, None], 2)[:, 0]
        (left, right), (bottom, top) = self.walls
        walls = ((left + 0.5) / 2, (right + 0.5) / 2), ((bottom + 0.5) / 2, (top + 0.5) / 2)
        return FivePoint(mean, (2 * self.spacing[0], 2 * self.spacing[1]), walls)


class Multigrid:
    """Approximate inverses of the scheme.

    Args:
        finest: the scheme on the grid of the fields.
    """

    def __init__(self, finest: FivePoint) -> None:
        self.levels = [finest]
        while (coarser := self.levels[-1].coarser()) is not None:
            self.levels.append(coarser)
        bottom = self.levels[-1]
        self._factor: Tensor | None = None  # Cholesky's, (B, N, N)
        if bottom.coefficient[0].numel() <= DENSE:
            self._factor = torch.linalg.cholesky(_dense(bottom))
        line = torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=finest.coefficient.dtype)
        self._kernel = torch.outer(line, line)[None, None].to(finest.coefficient.device)

    def __call__(self, load: Tensor) -> Tensor:
        """One V-cycle for A u = load from u = 0, `(B, nx, ny)`: linear, symmetric and positive."""
        # Autocast would round the convolutions to bfloat16, and the direct solve needs equal types.
        with torch.autocast(load.device.type, enabled=False):
            return self._cycle(load, 0)

    def solve(self, load: Tensor, start: Tensor, iterations: int) -> Tensor:
        """Conjugate gradients from `start`, preconditioned with V-cycles; all `(B, nx, ny)`."""
        scheme, found = self.levels[0], start
        residual = load - scheme(found)
        direction, product = torch.zeros_like(found), None
        for _ in range(iterations):
            improved = self(residual)
            new = _dot(residual, improved)
            factor = torch.zeros_like(new) if product is None else new / product
            direction = improved + torch.nan_to_num(factor) * direction
            image = scheme(direction)
            # 0 / 0 for a field that is exact already.
            step = torch.nan_to_num(new / _dot(direction, image), nan=0.0, posinf=0.0, neginf=0.0)
            found, residual, product = found + step * direction, residual - step * image, new
        return found

    def _cycle(self, load: Tensor, number: int) -> Tensor:
        scheme = self.levels[number]
        if number == len(self.levels) - 1:
            return self._bottom(scheme, load)
        found = DAMPING * load / scheme.diagonal
        # The kernel sums to 4: a mean of cells is a quarter of the adjoint of the interpolation.
        rest = nn.functional.conv2d((load - scheme(found))[:, None], self._kernel / 4, stride=2, padding=1)
        coarse = self._cycle(rest[:, 0], number + 1)[:, None]
        found = found + nn.functional.conv_transpose2d(coarse, self._kernel, stride=2, padding=1)[:, 0]
        return found + DAMPING * (load - scheme(found)) / scheme.diagonal

    def _bottom(self, scheme: FivePoint, load: Tensor) -> Tensor:
        if self._factor is not None:
            return torch.cholesky_solve(load.flatten(1)[:, :, None], self._factor).reshape(load.shape)
        found = torch.zeros_like(load)
        for _ in range(SWEEPS):
            found = found + DAMPING * (load - scheme(found)) / scheme.diagonal
        return found


def _at_walls(faces: Tensor, axis: int, walls: tuple[float, float]) -> Tensor:
    """Faces along an axis, the outermost ones divided by their distances from the boundary in spacings."""
    inner = faces.narrow(axis, 1, faces.shape[axis] - 2)
    first, last = faces.narrow(axis, 0, 1), faces.narrow(axis, faces.shape[axis] - 1, 1)
    return torch.cat([first / walls[0], inner, last / walls[1]], dim=axis)


def _dense(scheme: FivePoint) -> Tensor:
    """The matrices of the scheme `(B, N, N)`, points in row-major order."""
    media, *grid = scheme.coefficient.shape
    count = grid[0] * grid[1]
    units = torch.eye(count, dtype=scheme.coefficient.dtype, device=scheme.coefficient.device)
    columns = [scheme(unit.reshape(1, *grid).expand(media, *grid)).flatten(1) for unit in units]
    return torch.stack(columns, dim=2)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(dim=(1, 2), keepdim=True)
