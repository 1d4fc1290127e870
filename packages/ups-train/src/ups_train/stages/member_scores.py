"""Validation scores of stochastic simulators: nRMSE of the ensemble mean, and energy score."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from ups_data.batches.batch import FieldBatch
from ups_eval.ensemble_scores import energy_score
from ups_eval.metrics import NRMSE
from ups_models.network import TaskModules
from ups_models.simulator import Simulator

SEED = 0
"""Seed of the members: the same in every validation, so that checkpoints are compared on equal noise."""


class MemberScores(nn.Module):
    """nRMSE of the ensemble mean in physical units, fair energy score in normalised units.

    Args:
        tasks: names of the tasks.
        members: per trajectory.
    """

    def __init__(self, tasks: Iterable[str], members: int) -> None:
        super().__init__()
        self.members = members
        self.errors: dict[str, Metric] = {name: NRMSE() for name in tasks}
        self.energies: dict[str, Metric] = {name: MeanMetric() for name in self.errors}
        self.validation = nn.ModuleList([TaskModules(self.errors), TaskModules(self.energies)])

    def add(self, simulator: Simulator, batch: FieldBatch) -> None:
        """Sample complete trajectories and add their scores unless `loss_weight` is 0."""
        members = simulator.sample(batch, batch.target.shape[1], self.members, SEED)
        if batch.loss_weight:
            scaled = simulator.normaliser(batch.task).target_scaled
            self.errors[batch.task].update(members.mean(dim=0), batch.target)
            self.energies[batch.task].update(energy_score(scaled(members), scaled(batch.target)))

    def take(self) -> dict[str, Tensor]:
        """Scores per task and the mean energy score over tasks; resets."""
        scores: dict[str, Tensor] = {}
        energies = []
        for name, error in self.errors.items():
            energies.append(self.energies[name].compute().float())
            scores |= {f"val/{name}/nrmse": error.compute().float(), f"val/{name}/energy_score": energies[-1]}
            error.reset()
            self.energies[name].reset()
        return scores | {"val/energy_score": torch.stack(energies).mean()}
