"""Peak memory of a computation: the tensors that are alive at once, on any device and the same every time."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ups_data.batches.windows import Windows
from ups_eval.scoring import SINGLE, Ensemble, predict_target
from ups_models.device import device_of
from ups_models.simulator import Simulator


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that operations make while the block runs.

    Buffers that an operation allocates and frees within itself, such as those of a Fourier transform, are not
    seen; neither are tensors that existed before.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._alive: int = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """See :class:`TorchDispatchMode`."""
        given = {
            tensor.untyped_storage()._cdata
            for tensor in tree_iter((args, kwargs))
            if isinstance(tensor, torch.Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in given and key not in self._known:
                    self._known.add(key)
                    self._alive += storage.nbytes()
                    weakref.finalize(storage, self._freed, key, storage.nbytes())
        self.peak = max(self.peak, self._alive)
        return result

    def _freed(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self._alive -= nbytes


def step_memory(simulator: Simulator, windows: Windows, ensemble: Ensemble = SINGLE) -> int:
    """Peak bytes of one step of all members for one trajectory, without weights."""
    batch = windows.batch([0]).to(device_of(simulator))
    batch = replace(batch, target=batch.target[:, :1])
    with torch.inference_mode(), TensorMemory() as memory:
        predict_target(simulator, batch, ensemble)
    peak: int = memory.peak
    return peak
