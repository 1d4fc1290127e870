"""The objective `ensemble` of the stage `operator`: a noise-conditioned operator trained on a proper score.

Every training window gets several members, which differ by their noise vector. Their score against the truth
is minimal in expectation for samples of the true distribution (Gneiting and Raftery, JASA 102 (2007)). A
sample costs one network evaluation, as in Lang et al., "AIFS-CRPS", arXiv 2412.15832."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_eval.ensemble_scores import crps, energy_score
from ups_models.bundle import save_bundle
from ups_models.network import Network
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.initial_simulator import fit_simulator, new_simulator
from ups_train.stages.member_scores import MemberScores
from ups_train.stages.operator_config import OperatorConfig
from ups_train.stages.training_start import start_of

ALMOST_FAIR = 0.95
"""Weight of the fair estimator in the training scores. The fair one alone is degenerate: if all members but
one equal the truth, the last one is not penalised."""
VALIDATION_MEMBERS = 8


class EnsembleObjective(nn.Module):
    """Energy score, CRPS or their sum over unrolled members, in normalised space.

    Args:
        config: options of the stage.
        inputs: a model with a noise input, and the data.
    """

    def __init__(self, config: OperatorConfig, inputs: ObjectiveInputs) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs
        self.simulator = new_simulator(inputs, config.augment)
        self.member_scores = MemberScores(inputs.tasks, VALIDATION_MEMBERS)

    @property
    def network(self) -> Network:
        """The simulator's network."""
        return self.simulator.network

    def initialise(self) -> None:
        """Initialise the network on training pairs."""
        fit_simulator(self.simulator, self.inputs)

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """Mean score over the windows of a batch."""
        start = start_of(batch, self.config, self.simulator, seed, progress).start
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
        """Sample complete trajectories."""
        assert isinstance(network, Network)
        self.member_scores.add(self.simulator.with_network(network), batch)

    def scores(self) -> dict[str, Tensor]:
        """Scores per task, and the mean energy score, which selects the checkpoint."""
        return self.member_scores.take()

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of the simulator."""
        assert isinstance(network, Network)
        simulator = self.simulator.with_network(network)
        save_bundle(directory, simulator, self.inputs.model, self.inputs.fingerprint)
