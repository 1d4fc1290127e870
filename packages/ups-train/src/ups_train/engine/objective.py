"""The contract of an objective: what a training stage trains, without the how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ups_core import Component, StepContext, UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.prepare.statistics import Statistics
from ups_train.engine.config import TrainingConfig


class Objective(Protocol):
    """What is trained, by which loss, and how it is scored and saved.

    An objective is a `torch.nn.Module`, so that its statistics and metrics move to the device with its
    network. :class:`~ups_train.engine.stage.TrainingStage` does everything else: data, optimizer, averaging,
    checkpoints, exact resume, several ranks, guards. An objective whose loss needs the moving average of its
    network also implements :class:`AveragedObjective`.
    """

    @property
    def network(self) -> nn.Module:
        """The module whose parameters are trained, averaged, sharded and compiled."""
        ...

    def initialise(self) -> None:
        """Fit what is fitted to the training data before the first step; not called on resume."""
        ...

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """The scalar loss of one batch.

        Args:
            batch: windows of one task on the network's device, in physical units.
            seed: of everything that is drawn; the same on all ranks.
            progress: of the training, from 0 to 1.
        """
        ...

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        """Score complete trajectories of one task.

        Args:
            network: the trained network or its moving average, of the same class as :attr:`network`.
            batch: trajectories; those of a batch with `loss_weight` 0 must not count, but the network must
                run on them as often as on others: other ranks wait for it.
        """
        ...

    def scores(self) -> dict[str, Tensor]:
        """The scores of all trajectories since the last call, over all ranks, and start again.

        Keys begin with `val/` and include the `monitor` of the stage's options; lower is better.
        """
        ...

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the artifact that the stage produces into a directory.

        Args:
            network: on the CPU, with the chosen weights, of the same class as :attr:`network`.
        """
        ...


@runtime_checkable
class AveragedObjective(Protocol):
    """An objective whose loss uses the moving average of its network as a target."""

    def use_average(self, average: nn.Module) -> None:
        """Receive the averaged network, of the same class as `network`; called once before training.

        Do not register it as a submodule: the engine saves, loads and shards it.
        """
        ...


ARTIFACT = "model"
"""Folder in the step's directory that the objective's artifact is written into."""
PARTS = ("network", "initialise", "loss", "validate", "scores", "export")
"""What an objective must have."""


@dataclass(frozen=True)
class ObjectiveInputs:
    """What an objective is made from.

    Attributes:
        model: the network that the spec names for this stage.
        data: task name -> its prepared data.
        artifacts: artifact kind -> directory of the step that produced it, for what the stage consumes.
        fingerprint: of the training step, for saved models.
        start: the saved model that the training starts from; None for new weights.
        freeze: patterns of parameters that are not trained.
    """

    model: Component
    data: Mapping[str, TaskData]
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    fingerprint: str = ""
    start: Path | None = None
    freeze: Sequence[str] = ()

    @classmethod
    def open(cls, config: TrainingConfig, context: StepContext) -> ObjectiveInputs:
        """Open the data of a running stage.

        Args:
            config: the stage's options.
            context: of the step.
        """
        data = {
            name: task.open(context.data_root)
            for name, task in context.tasks.items()
            if config.trains(task.describe(context.data_root))
        }
        model = config.trained_model(context.spec.model) or context.spec.model
        inputs = cls(model, data, context.inputs, context.fingerprint)
        if config.init is None:
            return inputs
        start = origin_directory(config, context) / ARTIFACT if config.init.step else config.init.bundle
        return replace(inputs, start=Path(str(start)), freeze=config.init.freeze)

    @property
    def tasks(self) -> dict[str, TaskInfo]:
        """Task name -> what the problem is."""
        return {name: data.info for name, data in self.data.items()}

    @property
    def statistics(self) -> dict[str, Statistics]:
        """Task name -> normalisation statistics of the train split."""
        return {name: data.statistics for name, data in self.data.items()}


def origin_directory(config: TrainingConfig, context: StepContext) -> Path:
    """The directory of the step that a training starts from."""
    assert config.init is not None
    assert config.init.step is not None
    return context.artifacts[config.produces[0]][config.init.step]


ObjectiveFactory = Callable[[Any, ObjectiveInputs], Objective]
"""Makes an objective from the stage's options; weights are drawn from torch's seeded generator."""


def check_parts(objective: object) -> None:
    """Check that a class, or an object, has every part of the protocol.

    Raises:
        UPSError: naming the first part that is missing.
    """
    # `dir`, not `hasattr`: an error inside a property is not a missing part.
    missing = next((part for part in PARTS if part not in dir(objective)), None)
    if missing is not None:
        name = objective.__name__ if isinstance(objective, type) else type(objective).__name__
        raise UPSError(f"the objective {name} has no '{missing}' (see ups_train.engine.objective.Objective)")


def create_objective(factory: ObjectiveFactory, config: Any, inputs: ObjectiveInputs) -> nn.Module:
    """Make an objective and check it.

    Raises:
        UPSError: it is not a module, or lacks a part of the protocol.
    """
    objective = factory(config, inputs)
    check_parts(objective)
    if not isinstance(objective, nn.Module):
        raise UPSError(f"the objective {type(objective).__name__} must be a torch.nn.Module")
    return objective
