"""The contract between the runner and what it runs: steps, the context they get, and tasks.

Torch-free: the runner plans and records without knowing what a network is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field

from ups_core.config import Component, Config

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_core.spec import PipelineSpec


ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""What a step may be called."""

PROFILE = "UPS_PROFILE"
"""Environment variable that `--profile` sets for training stages, in whatever process they run."""


@dataclass(frozen=True)
class DataPlan:
    """What a task's data will be, found out without touching more than file heads.

    Attributes:
        fingerprint: changes when any value that training could see would change.
        source: `official` or `generated`.
        files: the files, existing or still to be generated.
        missing: those of `files` that have to be generated first.
        note: one line for people (size, time to generate, known defects of the files).
    """

    fingerprint: str
    source: str
    files: tuple[Path, ...]
    missing: tuple[Path, ...] = ()
    note: str = ""


class TaskProvider(Protocol):
    """What a `tasks` component creates: a PDE problem together with its data (see `ups_data.tasks`)."""

    name: str

    def describe(self) -> Mapping[str, Any]:
        """Facts that other components' plan checks may need: kind, shape, frames, history, channels…"""
        ...

    def plan_data(self, data_root: Path) -> DataPlan:
        """Locate the data; never writes.

        Raises:
            UPSError: the data can be neither found nor generated.
        """
        ...

    def prepare_data(self, data_root: Path, console: Console) -> Mapping[str, Any]:
        """Generate what is missing, audit the splits; returns `{fingerprint, source, splits, ...}`."""
        ...

    def open(self, data_root: Path) -> Any:
        """The prepared data, for steps; the core itself never opens them."""
        ...


@dataclass(frozen=True)
class Requirement:
    """A trained model that a step wants and that some earlier step must produce (a baseline, say)."""

    model: str


class StepConfig(Config):
    """Options of a stage or evaluation step, with what the planner must know about it."""

    id: Annotated[str, Field(pattern=ID)] | None = None
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

    def requirements(self) -> Sequence[Requirement]:
        """Models that must have been trained before this step; the planner adds a stage for each."""
        return ()

    def for_baseline(self, model: Component) -> dict[str, Any]:
        """Options that differ where this stage trains a baseline in the model's place."""
        return {"model": model}

    def check(self, tasks: Mapping[str, Mapping[str, Any]], model: Component) -> Sequence[tuple[str, str]]:
        """Problems that need knowledge of the data, as `(option path, message)`.

        `model` is what the step trains, or what the newest stage before an evaluation trained.
        """
        return ()

    def check_trainer(self, spec: PipelineSpec) -> Sequence[tuple[str, str]]:
        """Options that contradict the trainer or the machine, as `(option path, message)`.

        A path that begins with `trainer` is the spec's, any other one the step's.
        """
        return ()


@dataclass(frozen=True)
class StepInfo:
    """One step as trackers see it."""

    id: str
    uses: str
    status: str
    directory: Path
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunInfo:
    """One run as trackers see it."""

    name: str
    fingerprint: str
    status: str
    directory: Path


@dataclass(frozen=True)
class StepContext:
    """All that a step may use. It writes below `directory` only, which is renamed when it succeeds.

    Attributes:
        spec: the whole resolved spec.
        step_id: this step's id; metric keys start with it.
        directory: where to write; holds what an interrupted earlier attempt left.
        inputs: artifact kind -> directory of the step that produced it (the newest one).
        models: step id -> directory holding `model/`, for every earlier step that trained one (a
            baseline's id is its model's name with `-` for `/`).
        run_directory: the run; read-only for a step, except for `report/`.
        data_root: where data files live.
        tasks: task name -> what the task component created.
        console: progress bars and lines for people.
        fingerprint: this step's fingerprint, for saved models.
    """

    spec: PipelineSpec
    step_id: str
    directory: Path
    inputs: Mapping[str, Path]
    models: Mapping[str, Path]
    run_directory: Path
    data_root: Path
    tasks: Mapping[str, TaskProvider]
    console: Console
    fingerprint: str = ""


class ModelConfig(Config):
    """Options of a model, with what the planner must know about it."""

    trainable: ClassVar[bool] = True
    """False for a model without parameters, which needs no training stage to serve as a baseline."""
    latent: ClassVar[bool] = False
    """True for a model that can encode, advance and decode, and so roll out inside its latent space."""

    def check(self, tasks: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, str]]:
        """Problems that need knowledge of the data (modes against grid…), as `(option path, message)`."""
        return ()


@runtime_checkable
class Step(Protocol):
    """What a `stages` or `evaluations` component creates."""

    def run(self, context: StepContext) -> Mapping[str, float]:
        """Do the work, write below `context.directory`, return metrics.

        Keys are relative to the step (`advection1d/nrmse`); the runner prefixes the step's id.

        Raises:
            UPSError: the step failed for a reason that the user can mend.
        """
        ...
