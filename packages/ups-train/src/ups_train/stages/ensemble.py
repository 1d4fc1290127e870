"""The objective `ensemble` of the stage `operator`: a stochastic simulator, trained on a proper score.

A network that takes noise predicts several members for one start; the score of the members against the one
truth is lowest in the mean if they are samples of its distribution (Gneiting and Raftery, JASA 102 (2007)).
One network evaluation gives a sample, as in Lang et al., "AIFS-CRPS", arXiv 2412.15832.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_eval.ensemble_scores import crps, energy_score
from ups_eval.metrics import NRMSE
from ups_models.bundle import save_bundle
from ups_models.network import Network, TaskModules
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.initial_simulator import fit_simulator, new_simulator
from ups_train.stages.operator_config import OperatorConfig
from ups_train.stages.training_start import start_of

ALMOST_FAIR = 0.95
"""Share of the fair estimator in the training's scores; alone, it leaves a member free where all others are
right."""
VALIDATION_MEMBERS = 8
VALIDATION_SEED = 0


class EnsembleObjective(nn.Module):
    """A stochastic simulator's score on its own rollouts, in normalised space.

    Args:
        config: of the stage.
        inputs: the model, which takes noise, and the data.
    """

    def __init__(self, config: OperatorConfig, inputs: ObjectiveInputs) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs
        self.simulator = new_simulator(inputs, config.augment)
        self.errors: dict[str, Metric] = {name: NRMSE() for name in inputs.tasks}
        self.energies: dict[str, Metric] = {name: MeanMetric() for name in inputs.tasks}
        self.validation = nn.ModuleList([TaskModules(self.errors), TaskModules(self.energies)])

    @property
    def network(self) -> Network:
        """The simulator's network."""
        return self.simulator.network

    def initialise(self) -> None:
        """Let the network fit what it fits to training pairs."""
        fit_simulator(self.simulator, self.inputs)

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """The score of the members that start where a deterministic training would."""
        _, start = start_of(batch, self.config, self.simulator, seed, progress)
        target = start.target
        members = self.simulator.sample(
            start, target.shape[1], self.config.objective.members, derive_seed(seed, "members")
        )
        scaled = self.simulator.normaliser(batch.task).target_scaled
        predicted, wanted = scaled(members), scaled(target)
        score = self.config.objective.score
        terms = []
        if score != "crps":
            terms.append(energy_score(predicted, wanted, ALMOST_FAIR).mean())
        if score != "energy":
            terms.append(crps(predicted, wanted, ALMOST_FAIR).mean())
        return torch.stack(terms).sum()

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        """Sample complete trajectories: nRMSE of the mean in physical units, fair energy score in normalised
        ones, in which tasks may be averaged."""
        assert isinstance(network, Network)
        simulator, steps = self.simulator.with_network(network), batch.target.shape[1]
        members = simulator.sample(batch, steps, VALIDATION_MEMBERS, VALIDATION_SEED)
        if batch.loss_weight:
            scaled = self.simulator.normaliser(batch.task).target_scaled
            self.errors[batch.task].update(members.mean(dim=0), batch.target)
            self.energies[batch.task].update(energy_score(scaled(members), scaled(batch.target)))

    def scores(self) -> dict[str, Tensor]:
        """Every task's scores and the mean energy score, which model selection watches."""
        scores, energies = {}, []
        for name in self.inputs.tasks:
            error, energy = self.errors[name], self.energies[name]
            scores[f"val/{name}/nrmse"] = error.compute().float()
            scores[f"val/{name}/energy_score"] = energy.compute().float()
            energies.append(scores[f"val/{name}/energy_score"])
            error.reset()
            energy.reset()
        return scores | {"val/energy_score": torch.stack(energies).mean()}

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of the simulator."""
        assert isinstance(network, Network)
        simulator = self.simulator.with_network(network)
        save_bundle(directory, simulator, self.inputs.model, self.inputs.fingerprint)
