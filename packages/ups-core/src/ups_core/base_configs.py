"""Base classes of components' options, one per kind, with what the planner must know about the kind.

An options class of a plugin subclasses the base of its kind (stages and evaluations:
:mod:`ups_core.step_config`). Capabilities are class variables: they belong to the component, not to a spec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import NonNegativeFloat

from ups_core.config import Config


class TaskConfig(Config):
    """Options of a task: a PDE problem with its data."""


class SourceConfig(Config):
    """Options of a source: where a task's data files come from."""


class LayoutConfig(Config):
    """Options of a layout: how one kind of file maps to trajectories."""


class ModelConfig(Config):
    """Options of a model."""

    trainable: ClassVar[bool] = True
    """False for a model without parameters, which needs no training stage to serve as a baseline."""
    latent: ClassVar[bool] = False
    """True for a model that can encode, advance and decode, and so roll out inside its latent space."""
    stochastic: ClassVar[bool] = False
    """True for a model with an option `noise` that makes it a stochastic one, for ensembles."""

    def local(self, task: Any) -> bool:
        """Whether a cell of a prediction depends on cells near it only, so that tiles can be predicted.

        Args:
            task: the task's `info`.
        """
        return False

    def tile_cells(self, task: Any) -> int:
        """Cells along an axis that tiles, and their distances, must be multiples of."""
        return 1

    def check(self, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Problems that need knowledge of the data (modes against grid…), as `(option path, message)`.

        Args:
            tasks: task name -> the task's `info`, for UPS tasks an `ups_data.info.TaskInfo`.
        """
        return ()

    def advise(self, tasks: Mapping[str, Any]) -> Sequence[str]:
        """What works, but is probably not intended (a grid that makes steps expensive…), one line each.

        Args:
            tasks: as for :meth:`check`.
        """
        return ()


class LossConfig(Config):
    """Options that every loss has."""

    pointwise: ClassVar[bool] = False
    """True for a mean over cells, so that the mean over tiles is the loss of the complete field."""

    weight: NonNegativeFloat = 1.0
    """Factor in the sum of losses; with `gradients: conflict_free` also the slope along this loss's gradient,
    relative to those along the others'."""

    def check(self, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Problems that need knowledge of the data, as `(option path, message)`.

        Args:
            tasks: as for :meth:`ModelConfig.check`.
        """
        return ()


class OptimizerConfig(Config):
    """Options of an optimizer."""

    whole_matrices: ClassVar[bool] = False
    """True for an optimizer that updates complete matrices (Muon), so that no strategy may flatten them."""

    def accepts(self, shape: Sequence[int], is_complex: bool) -> bool:
        """Whether the optimizer can update a parameter of this shape; asked by groups of parameters."""
        return True

    def for_other_model(self) -> OptimizerConfig:
        """The options without what names parameters of one model: a baseline trains another one."""
        return self

    def check(self, model: Any, tasks: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Problems with this model's parameters, as `(option path, message)`.

        Args:
            model: the :class:`ups_core.Component` of the model.
            tasks: as for :meth:`ModelConfig.check`.
        """
        return ()


class SchedulerConfig(Config):
    """Options of a learning-rate schedule."""


class DeviceLimits(Config):
    """Options of something that needs, or allows, a certain number of devices."""

    min_devices: ClassVar[int] = 1
    """Fewest devices that it works with."""
    max_devices: ClassVar[int | None] = None
    """Most devices that it works with; None for any number."""


class StrategyConfig(DeviceLimits):
    """Options of a parallel strategy."""

    splits_matrices: ClassVar[bool] = False
    """True where a process gets pieces of flattened parameters (ZeRO, FSDP1), which Muon cannot update."""

    @property
    def needs_gpu(self) -> bool:
        """Whether these options make sense on GPUs only."""
        return False


class LauncherConfig(DeviceLimits):
    """Options of a launcher."""

    remote: ClassVar[bool] = False
    """True where steps run on another machine, so that its devices cannot be checked here."""


class MetricConfig(Config):
    """Options of a metric."""


class TrackerConfig(Config):
    """Options of an experiment tracker."""


class CallbackConfig(Config):
    """Options of a Lightning callback."""


class CommandConfig(Config):
    """Options of a sub-command of `ups`: there are none, its arguments come from the command line."""
