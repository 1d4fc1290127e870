"""What every training of a corrector shares: its validation and its bundle; the losses differ."""

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
    """The parts of an objective that a flow and its student have in common.

    Args:
        simulator: an operator, and the corrector to train.
        source: the bundle that the operator comes from.
        inputs: of the stage.
        members: per validation trajectory.
    """

    def __init__(
        self, simulator: CorrectedSimulator, source: Path, inputs: ObjectiveInputs, members: int
    ) -> None:
        super().__init__()
        self.simulator = simulator
        self.source = source
        self.inputs = inputs
        start_corrector(simulator.corrector, inputs)
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
        """Every task's scores, and the mean energy score, which model selection watches."""
        return self.member_scores.take()

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of operator and corrector."""
        assert isinstance(network, Corrector)
        simulator = self.simulator.with_corrector(network)
        save_corrected(directory, simulator, self.source, self.inputs.model, self.inputs.fingerprint)
