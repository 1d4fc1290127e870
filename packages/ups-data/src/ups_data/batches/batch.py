"""A batch: windows of one task, in physical units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

_ON_HOST = ("task", "index", "loss_weight")


@dataclass
class FieldBatch:
    """B windows of one task, float32, in physical units.

    Attributes:
        task: the task's name in the spec.
        state: given frames `(B, H, C, *S)`, newest last; H is 0 when steady.
        static: coefficient fields `(B, Cs, *S)`; Cs is 0 for a problem without any.
        params: PDE parameters `(B, P)`.
        params_mask: which parameters are known `(B, P)`, bool.
        dt: time between frames `(B,)`; 0 when steady.
        coords: coordinates of the grid points `(N, d)`, row-major over S.
        target: frames to predict `(B, T, C, *S)`; T is 1 when steady.
        index: trajectory numbers `(B,)`, int64; always on the host, because seeds are derived from them.
        loss_weight: factor of this batch's mean loss. The micro-batches of a global batch may differ in size;
            with these weights the average over them is the mean over samples.
        forcing: fields that are given at every frame `(B, H + T, Cf, *S)`, those of the given frames
            first; None for a problem without any.
    """

    task: str
    state: Tensor
    static: Tensor
    params: Tensor
    params_mask: Tensor
    dt: Tensor
    coords: Tensor
    target: Tensor
    index: Tensor
    loss_weight: float = 1.0
    forcing: Tensor | None = None

    def __len__(self) -> int:
        return len(self.index)

    def repeated(self, times: int) -> FieldBatch:
        """All windows so many times, one complete copy after the other; coordinates are shared."""
        return self._with(lambda tensor: torch.cat([tensor] * times))

    def rows(self, numbers: Tensor) -> FieldBatch:
        """Some windows, in any order and any number of times; coordinates are shared.

        Args:
            numbers: of the windows, int64 `(N,)`, on the host or on the batch's device.
        """
        return self._with(lambda tensor: tensor[numbers.to(tensor.device)])

    def _with(self, change: Callable[[Tensor], Tensor]) -> FieldBatch:
        """The batch with what every window has changed."""
        tensors: dict[str, Any] = {
            field.name: change(getattr(self, field.name))
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor) and field.name != "coords"
        }
        return replace(self, **tensors)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> FieldBatch:
        """The batch on another device; `index` stays on the host."""
        tensors = {
            field.name: getattr(self, field.name).to(device, non_blocking=non_blocking)
            for field in fields(self)
            if field.name not in _ON_HOST and getattr(self, field.name) is not None
        }
        return replace(self, **tensors)
