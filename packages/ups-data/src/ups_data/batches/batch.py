"""What models are given: one task's windows, in physical units."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass
class FieldBatch:
    """B windows of one task, float32, in physical units.

    Attributes:
        task: the task's name in the spec.
        state: given frames `(B, H, C, *S)`, newest last; H is 0 when steady.
        static: coefficient fields `(B, Cs, *S)`; Cs is 0 where there are none.
        params: PDE parameters `(B, P)`.
        params_mask: which parameters are known `(B, P)`, bool.
        dt: time between frames `(B,)`; 0 when steady.
        coords: coordinates of the grid points `(N, d)`, row-major over S.
        target: frames to predict `(B, T, C, *S)`; T is 1 when steady.
        index: trajectory numbers `(B,)`, int64; always on the host, where seeds are derived from them.
        loss_weight: factor of this batch's mean loss, so that the average over the parts of a global batch
            (ranks' and micro-batches), which may differ in size, is the mean over its samples.
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

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> FieldBatch:
        """The batch on another device."""
        tensors = {
            field.name: getattr(self, field.name).to(device, non_blocking=non_blocking)
            for field in fields(self)
            if field.name not in ("task", "index", "loss_weight")
        }
        return replace(self, **tensors)
