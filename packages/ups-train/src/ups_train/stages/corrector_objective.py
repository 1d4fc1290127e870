"""Shared base of the objectives that train a corrector: validation and export."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ups_data.batches.batch import FieldBatch
from ups_models.bundle import save_corrected
from ups_models.residual.corrector import Corrector
from ups_models.residual.simulator import CorrectedSimulator
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.initial_simulator import start_corrector
from ups_train.stages.member_scores import MemberScores


class CorrectorObjective(nn.Module):
    """Validation and export of a corrector; subclasses add `initialise` and `loss`.

    Args:
        simulator: a frozen operator with the corrector to train.
        source: bundle of the operator.
        inputs: inputs of the stage.
        members: ensemble size in validation.
    """

    def __init__(
        self, simulator: CorrectedSimulator, source: Path, inputs: ObjectiveInputs, members: int
    ) -> None:
        super().__init__()
        self.simulator = simulator
        self.source = source
        self.inputs = inputs
        start_corrector(simulator, inputs)
        self.member_scores = MemberScores(inputs.tasks, members)

    @property
    def network(self) -> nn.Module:
        """The corrector."""
        return self.simulator.corrector

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        """Sample complete trajectories."""
        assert isinstance(network, Corrector)
        self.member_scores.add(self.simulator.with_corrector(network), batch)

    def scores(self) -> dict[str, Tensor]:
        """Scores per task, and the mean energy score, which selects the checkpoint."""
        return self.member_scores.take()

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of operator and corrector."""
        assert isinstance(network, Corrector)
        simulator = self.simulator.with_corrector(network)
        save_corrected(directory, simulator, self.source, self.inputs.model, self.inputs.fingerprint)
