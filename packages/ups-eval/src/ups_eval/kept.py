"""Stores the predictions of a few trajectories while their batches are scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_eval.metrics import nrmse_per_frame
from ups_eval.predictions import Choice, PredictionsWriter
from ups_eval.scoring import Ensemble, predict_target
from ups_models.device import device_of

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.batches.windows import Windows
    from ups_models.simulator import Simulator


class Kept:
    """The trajectories of one task whose predictions are stored; none before :meth:`choose`.

    Args:
        writer: of the file of predictions.
        windows: the trajectories that are scored.
        ensemble: how stochastic simulators are rolled out.
        known: a batch as those that are scored see it.
    """

    def __init__(
        self,
        writer: PredictionsWriter,
        windows: Windows,
        ensemble: Ensemble,
        known: Callable[[FieldBatch], FieldBatch],
    ) -> None:
        self.writer = writer
        self.ensemble = ensemble
        self.windows = windows
        self.known = known
        self.choice: Choice | None = None
        self._seen: dict[str, int] = {}

    def choose(self, choice: Choice, model: str, simulator: Simulator, batch_size: int) -> None:
        """Keep these trajectories from now on; of the model that was scored first they are rolled out again.

        Each in its complete batch: in another one the predictions would have other rounding errors than those
        that were scored.
        """
        self.choice = choice
        self.writer.task(self.windows.info, choice)
        with torch.inference_mode():
            for begin in range(0, len(self.windows), batch_size):
                indices = range(begin, min(begin + batch_size, len(self.windows)))
                if positions := [position for position in choice.positions if position in indices]:
                    self.writer.truth(self.known(self.windows.batch(positions)))
                    batch = self.windows.batch(indices).to(device_of(simulator))
                    members = predict_target(simulator.eval(), batch, self.ensemble)
                    self._store(model, batch, members, begin)

    def batch(self, model: str, batch: FieldBatch, members: Tensor) -> None:
        """See the next batch of a model, in the order of the split."""
        begin = self._seen.get(model, 0)
        self._seen[model] = begin + len(batch)
        self._store(model, batch, members, begin)

    def _store(self, model: str, batch: FieldBatch, members: Tensor, begin: int) -> None:
        positions = self.choice.positions if self.choice else ()
        rows = [position - begin for position in positions if 0 <= position - begin < len(batch)]
        if rows:
            kept, target = members[:, rows].cpu(), batch.target[rows].cpu()
            errors = nrmse_per_frame(kept.mean(dim=0), target).mean(dim=1)
            self.writer.prediction(batch.task, model, kept, errors)
