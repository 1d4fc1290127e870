"""The contract of a loss of physics, which sees predicted fields, the batch and the problem."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from ups_core import LossConfig
from ups_data.batches.batch import FieldBatch
from ups_eval.physics_metrics import Problem


class PhysicsLoss(ABC):
    """What the equation says about predicted fields, whatever the truth is.

    Args:
        config: options of the loss.
    """

    needs: str = ""
    """What a task must have, for the error where none has it."""

    def __init__(self, config: LossConfig) -> None:
        self.config = config

    @abstractmethod
    def defined(self, problem: Problem) -> bool:
        """Whether a task has this property; the loss of the others is zero."""

    @abstractmethod
    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """A scalar, zero for fields that have the property.

        Args:
            fields: predicted frames `(B, T, C, *S)` in physical units.
            batch: the windows that they follow from.
            problem: the task on its training grid, and the solver of its equation.
        """
