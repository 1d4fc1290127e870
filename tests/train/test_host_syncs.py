"""How often training steps make the host wait for the device."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from interrupted import train
from plugin_for_tests import OBJECTIVES

READS = ("item", "tolist", "__bool__", "__float__", "__int__", "numpy", "cpu")
"""Methods of tensors that wait for their device."""


class Syncs(TorchDispatchMode):
    """Counts what would make the host wait if the tensor were on a device.

    Tensors that are on the host wherever a training runs do not count: numbers of trajectories, and the step
    counts of optimizers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.host: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count += 1
        return func(*args, **(kwargs or {}))


class Watch(Callback):
    """Counts the syncs between the start and the end of every training batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs: list[tuple[bool, Counter[str]]] = []
        self.found: Counter[str] | None = None
        self.batch: Any = None
        for name in READS:
            monkeypatch.setattr(Tensor, name, self._counted(name, getattr(Tensor, name)))

    def _counted(self, name: str, method: Any) -> Any:
        def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            if self.found is None or tensor is self.batch.index:
                return method(tensor, *args, **kwargs)
            counting, self.found = self.found, None  # what the method calls in turn is the same sync
            try:
                counting[name] += 1
                return method(tensor, *args, **kwargs)
            finally:
                self.found = counting

        return call

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.batch, self.found = batch, Counter()
        self.mode = Syncs()
        self.mode.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.mode.__exit__(None, None, None)
        assert self.found is not None
        self.found["_local_scalar_dense"] = self.mode.count
        updated = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        last = batch_idx + 1 == trainer.num_training_batches
        self.syncs.append((updated or last, self.found))
        self.found = None


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw", "accumulate": 3},
        {"accumulate": 2, "spikes": {"policy": "skip", "window": 5}, "clip": None},
    ],
    ids=["default", "accumulated", "spikes"],
)
def test_one_sync_per_optimizer_step_and_none_between(
    options: dict[str, Any], objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if objective == "operator":
        options = options | {"pushforward": 1, "noise": 0.01}
    watch = Watch(monkeypatch)
    train(tmp_path, "watched", {"epochs": 2, "batch_size": 8, "objective": objective} | options, watch)
    assert len(watch.syncs) > 10
    for updated, found in watch.syncs:
        # A read of one number is a method and the operator below it: the larger count is that of syncs.
        syncs = max(found["_local_scalar_dense"], sum(found[name] for name in READS))
        assert syncs <= updated, found
