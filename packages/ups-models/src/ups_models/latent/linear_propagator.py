"""The linear, translation-invariant part of a PDE, fitted to the training data and applied exactly.

A constant-coefficient linear evolution multiplies every Fourier mode by exp(dt Λ(k)). Here, per channel,

    Λ(k) = Σ_axis -i v_axis k_axis  -  i w_axis k_axis^3  -  d |k|^2  -  h |k|^4

transport, dispersion, diffusion and hyper-diffusion, with coefficients affine in the PDE's parameters. They
are found by least squares on one-step pairs of the train split before training, in a second or two, as
dynamic mode decomposition does for general linear maps (Schmid, "Dynamic mode decomposition of numerical and
experimental data", 2010). If the fit explains less than `WORTHWHILE` of the change from frame to frame on
unseen pairs, the problem is not of this kind and the propagator stays the identity: a transport that is only
roughly right made networks worse (docs/accuracy.md). Being a semigroup in dt, it is valid for other frame
distances and on other grids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ups_data.info import TaskInfo

WORTHWHILE = 0.9
ITERATIONS = 200
DIFFUSION_SCALE = 1e-3
HYPER_SCALE = 1e-8


class LinearPropagator(nn.Module):
    """u(t) to u(t + dt) of the fitted linear part.

    Args:
        task: a periodic evolution with C state channels, P parameters and d axes.

    Attributes:
        coefficients: transport and dispersion along each axis, diffusion, hyper-diffusion; affine in the
            scaled parameters, `(C, 2d + 2, 1 + P)`.
        explained: share of the mean square change that the fit explained on unseen pairs, a scalar.
        active: whether the propagator differs from the identity. A plain attribute, because reading a buffer
            in a forward pass would make a GPU wait.
    """

    coefficients: Tensor
    explained: Tensor

    def __init__(self, task: TaskInfo) -> None:
        super().__init__()
        self.lengths = [high - low for low, high in task.domain]
        terms = 2 * task.dim + 2
        shape = (len(task.state_channels), terms, 1 + len(task.parameters))
        self.register_buffer("coefficients", torch.zeros(shape))
        self.register_buffer("explained", torch.zeros(()))
        self.active = False

    def forward(self, x: Tensor, params: Tensor, dt: Tensor) -> Tensor:
        """Advance a state `(B, C, *S)`.

        Args:
            x: the state.
            params: as in :class:`~ups_models.network.NetworkInput`, `(B, P)`.
            dt: physical time `(B,)`.
        """
        if not self.active:
            return x
        with torch.autocast(x.device.type, enabled=False):
            return self.propagated(x.float(), self.coefficients, params, dt)

    def propagated(self, x: Tensor, coefficients: Tensor, params: Tensor, dt: Tensor) -> Tensor:
        """:func:`propagate` on the task's domain."""
        return propagate(x, coefficients, params, dt, self.lengths)

    def shared(self, x: Tensor, params: Tensor, dt: Tensor) -> Tensor:
        """Advance features `(B, F, *S)`, all of them by the mean coefficients of the state's channels."""
        with torch.autocast(x.device.type, enabled=False):
            mean = self.coefficients.mean(dim=0, keepdim=True)
            return self.propagated(x.float(), mean, params, dt)

    def fit(self, before: Tensor, after: Tensor, params: Tensor, dt: Tensor) -> None:
        """Least squares on pairs of frames; half of the pairs decide whether the fit is used.

        Args:
            before: states `(B, C, *S)`.
            after: the states one step later, of the same shape.
            params: `(B, P)`.
            dt: `(B,)`.
        """
        half = len(before) // 2
        # In float64 on the CPU: the search stops at gradients of 1e-14, and its many small steps would keep a
        # GPU waiting.
        before, after, params, dt = (tensor.double().cpu() for tensor in (before, after, params, dt))
        start = self.coefficients.double().cpu()
        fitted = _least_squares(before[:half], after[:half], params[:half], dt[:half], start, self.lengths)
        was, now = before[half:], after[half:]
        error = (propagate(was, fitted, params[half:], dt[half:], self.lengths) - now).square().mean()
        explained = 1 - error / (was - now).square().mean().clamp(min=1e-30)
        self.explained.copy_(explained)
        if explained >= WORTHWHILE:
            self.coefficients.copy_(fitted)
        self.active = bool(self.coefficients.any())

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        # torch calls this for every submodule that it loads: the only place where `active` can follow the
        # buffers.
        super()._load_from_state_dict(*args, **kwargs)
        self.active = bool(self.coefficients.any())


def propagate(
    x: Tensor, coefficients: Tensor, params: Tensor, dt: Tensor, lengths: Sequence[float]
) -> Tensor:
    """Apply exp(dt Λ); see the module for Λ.

    Args:
        x: real `(B, C, *S)`.
        coefficients: `(C, 2d + 2, 1 + P)`, or `(1, 2d + 2, 1 + P)` for all channels.
        params: `(B, P)`.
        dt: `(B,)`.
        lengths: of the domain along every axis.

    Returns:
        `(B, C, *S)`.
    """
    axes = tuple(range(2, x.dim()))
    decay, phase = exponents(wave_numbers(x.shape[2:], lengths, x), coefficients, params, dt)
    spectrum = torch.fft.rfftn(x, dim=axes)
    moved: Tensor = torch.fft.irfftn(spectrum * torch.polar(decay.exp(), phase), s=x.shape[2:], dim=axes)
    return moved


def exponents(
    waves: Sequence[Tensor], coefficients: Tensor, params: Tensor, dt: Tensor
) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of dt Λ for every mode.

    Args:
        waves: of :func:`wave_numbers`.
        coefficients: as for :func:`propagate`, with the next two.
        params: `(B, P)`.
        dt: `(B,)`.

    Returns:
        Two tensors `(B, C, *modes)`, or with 1 in place of C for coefficients of all channels.
    """
    dim, dtype = len(waves), waves[0].dtype
    scaled = torch.einsum("ctp,bp->bct", coefficients.to(dtype), _affine(params).to(dtype))
    scaled = scaled * dt.to(dtype)[:, None, None]
    terms = scaled.reshape(*scaled.shape, *([1] * dim)).unbind(dim=2)
    square, phase = torch.zeros_like(terms[0]), torch.zeros_like(terms[0])
    for axis, k in enumerate(waves):
        square = square + k.square()
        phase = phase - terms[axis] * k - terms[dim + axis] * HYPER_SCALE * k**3
    # Absolute values: no fit, however bad, may amplify a mode.
    decay = (
        -terms[2 * dim].abs() * DIFFUSION_SCALE * square - terms[2 * dim + 1].abs() * HYPER_SCALE * square**2
    )
    return decay, phase


def _affine(params: Tensor) -> Tensor:
    """A one beside the parameters, `(B, 1 + P)`; P may be 0."""
    return torch.cat([params.new_ones(params.shape[0], 1), params], dim=1)


def wave_numbers(shape: Sequence[int], lengths: Sequence[float], like: Tensor) -> list[Tensor]:
    """Angular wave numbers 2π m / L of an rfftn spectrum, one tensor per axis, shaped to broadcast."""
    waves = []
    for axis, (cells, length) in enumerate(zip(shape, lengths, strict=True)):
        frequencies = torch.fft.rfftfreq if axis == len(shape) - 1 else torch.fft.fftfreq
        k = 2 * math.pi / length * cells * frequencies(cells, device=like.device, dtype=like.dtype)
        waves.append(k.reshape([-1 if other == axis else 1 for other in range(len(shape))]))
    return waves


def _least_squares(
    before: Tensor, after: Tensor, params: Tensor, dt: Tensor, start: Tensor, lengths: Sequence[float]
) -> Tensor:
    """Coefficients with the smallest mean square one-step error.

    The error has many minima in the velocities, so they start where the cross-correlation of the two frames
    has its maximum; a quasi-Newton method does the rest.
    """
    coefficients = start.clone()
    for axis, velocities in enumerate(_peak_velocities(before, after, dt, lengths)):
        solution = torch.linalg.lstsq(_affine(params), velocities, driver="gelsd").solution
        coefficients[:, axis] = solution.T
    coefficients[:, 2 * len(lengths)] += 1e-3  # |d| has no slope at zero
    coefficients[:, 2 * len(lengths) + 1] += 1e-3
    coefficients.requires_grad_()
    scale = (after - before).square().mean().clamp(min=1e-30)
    search = torch.optim.LBFGS(
        [coefficients],
        max_iter=ITERATIONS,
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        error = (propagate(before, coefficients, params, dt, lengths) - after).square().mean() / scale
        error.backward()  # type: ignore[no-untyped-call]
        return error

    with torch.enable_grad():
        search.step(closure)  # type: ignore[no-untyped-call]
    return coefficients.detach()


def _peak_velocities(before: Tensor, after: Tensor, dt: Tensor, lengths: Sequence[float]) -> list[Tensor]:
    """Per axis `(B, C)`: the shift at which the frames match best, over dt."""
    dim = before.dim() - 2
    axes = tuple(range(2, 2 + dim))
    product = torch.fft.rfftn(after, dim=axes) * torch.fft.rfftn(before, dim=axes).conj()
    match = torch.fft.irfftn(product, s=before.shape[2:], dim=axes)
    peak = match.flatten(2).argmax(dim=-1)  # of all shifts along all axes at once
    velocities: list[Tensor] = []
    for cells, length in zip(reversed(before.shape[2:]), reversed(lengths), strict=True):
        shift = peak % cells
        peak = peak // cells
        shift = torch.where(shift > cells // 2, shift - cells, shift)
        velocities.insert(0, shift * (length / cells) / dt[:, None])
    return velocities
