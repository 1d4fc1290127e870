"""Options of pipeline steps, with what the planner must know about a stage or evaluation step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ups_core.component import Component, Registered
from ups_core.config import Config
from ups_core.names import STEP
from ups_core.trainer import TrainerSpec

Issues = Sequence[tuple[str, str]]
"""Problems as `(option path, message)`."""


@dataclass(frozen=True)
class Requirement:
    """A trained model that a step needs beside its inputs, such as a baseline.

    Attributes:
        model: name of the registered model, or id of an earlier step.
        artifact: kind of artifact that the step training it must produce.
        component: the model with its options; None for those of the step of this id, else the defaults.
        option: which of the step's options names the model, for errors.
    """

    model: str
    artifact: str
    component: Component | None = None
    option: tuple[str | int, ...] = ("baselines",)


class StepConfig(Config):
    """Options of every pipeline step."""

    id: Annotated[str, Field(pattern=STEP)] | None = None
    """Name of the step in records and metric keys; default: the component's name."""
    needs: list[str] = []
    """Ids of earlier steps to take inputs from; default: the newest that produce what this consumes."""

    consumes: ClassVar[tuple[str, ...]] = ()
    """Artifact kinds that an earlier step must have produced, e.g. `simulator`."""
    produces: ClassVar[tuple[str, ...]] = ()
    """Artifact kinds that the step leaves in its directory."""
    reads: ClassVar[tuple[str, ...]] = ("tasks", "sampling", "model", "trainer", "seed")
    """Top-level spec sections that the result depends on."""
    always: ClassVar[bool] = False
    """True for a step that depends on all earlier steps (a report)."""
    distributed: ClassVar[bool] = False
    """True for a step that uses all devices of the trainer; others run in the runner's own process."""

    @property
    def measures(self) -> str | None:
        """Split that the step's metrics are measured on (`train`, `val` or `test`), None if unknown.

        `ups tune` accepts metrics of the validation split only.
        """
        return None

    def higher_is_better(self, metric: str) -> bool:
        """Whether a larger value of a metric of this step, relative to the step, is the better one.

        `ups tune` asks for the metric that a study selects by.
        """
        return False

    def requirements(self) -> Sequence[Requirement]:
        """Models that must have been trained before this step; the planner adds a stage for each."""
        return ()

    def origin(self) -> tuple[str, str] | None:
        """Option and id of the earlier step that the training starts from; None for new weights."""
        return None

    def content(self) -> str:
        """A checksum of what the result depends on beside spec, data and earlier steps: files that options
        name; empty where there is nothing."""
        return ""

    def unused(self) -> Sequence[str]:
        """Names of options that do nothing with these values of the others; `ups cite` leaves them out."""
        return ()

    def trained_model(self, default: Component) -> Component | None:
        """The model that the step trains, None for a step that trains none; `default` is the spec's."""
        return None

    def check_names(self, tasks: Sequence[str]) -> Issues:
        """Options that name something which the spec does not have.

        Args:
            tasks: names of the spec's tasks.
        """
        return ()

    def check(self, tasks: Mapping[str, Any], model: Component) -> Issues:
        """Problems that need knowledge of the data.

        Args:
            tasks: task name -> the task's `info`, for UPS tasks an `ups_data.info.TaskInfo`.
            model: what the step trains, or what the newest stage before an evaluation trained.
        """
        return ()

    def advise(self, tasks: Mapping[str, Any], model: Component) -> Sequence[str]:
        """What works, but is probably not intended, one line each; printed before a run.

        Args:
            tasks: as for :meth:`check`.
            model: what the step trains; a step that trains none is not asked.
        """
        return ()

    def check_inputs(self, inputs: Mapping[str, StepConfig]) -> Issues:
        """Options that name something which the steps before do not produce.

        Args:
            inputs: kind of artifact that this step consumes -> options of the step that it takes it from.
                Here and in these options a stage's `model` is the spec's where it names none.
        """
        return ()

    def check_trainer(self, trainer: TrainerSpec, launcher: Component) -> Issues:
        """Options that contradict the trainer or the machine.

        An option path that begins with `trainer` belongs to the spec, any other one to the step.
        """
        return ()


class StageConfig(StepConfig):
    """Options of every stage."""

    distributed: ClassVar[bool] = True

    model: Annotated[Component, Registered("models")] | None = None
    """The network to train; default: the spec's `model`."""

    @property
    def monitor(self) -> str:
        """Validation metric, relative to the step, that selects weights, stops early and is tuned; lower is
        better."""
        return "val/nrmse"

    @property
    def measures(self) -> str | None:
        """The validation split: training stages report validation metrics."""
        return "val"

    @property
    def samples(self) -> bool:
        """Whether what the stage trains draws samples, and not one prediction."""
        return False

    @property
    def correlates_frames(self) -> tuple[str, str] | None:
        """The option with which frames of a sampled rollout are not drawn one by one (noise that a member
        keeps, a correction of every other frame), such as `sampler.every: 2`, and the value with which they
        are; None if they are."""
        return None

    def unused(self) -> Sequence[str]:
        """Names of options that do nothing with these values of the others; `ups cite` leaves them out."""
        return ()

    def trained_model(self, default: Component) -> Component | None:
        """The stage's own model, or the spec's."""
        return self.model or default

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Options that change where this stage trains a baseline in the model's place."""
        return {"model": model}


class EvaluationConfig(StepConfig):
    """Options of every evaluation step."""
