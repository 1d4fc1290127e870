"""What a PDE problem is, said once for planners, models, bundles and reports.

Nothing here touches data, and the module imports neither torch nor numpy, so that planning stays fast.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ups_core import Component, Config, DataPlan, Registered, UsageError, default_component
from ups_core.config import validate_options
from ups_core.fingerprint import digest
from ups_core.registry import registry_in_use
from ups_data.family import Request

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.dataset import TaskData
    from ups_data.sources import Source

Role = Literal["state", "coefficient", "target"]


@dataclass(frozen=True)
class Channel:
    """One field. `state` evolves in time, `coefficient` is given, `target` is to be found."""

    name: str
    unit: str
    role: Role


@dataclass(frozen=True)
class Parameter:
    """One number that a PDE depends on, with the range that the task covers.

    `scale` says how models see it: in proportion to the number or to its logarithm.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"


@dataclass(frozen=True)
class TaskInfo:
    """All that a model or a report may know about a task; survives JSON unchanged.

    Attributes:
        name: the task's name in the spec.
        family: the registered kind, e.g. `advection1d`.
        kind: `evolution` (state to later state) or `steady` (coefficient to solution).
        boundary: `periodic` or `dirichlet`.
        domain: (low, high) of every spatial axis.
        shape: grid points along every spatial axis.
        dt: physical time between frames; 0 when steady.
        frames: frames of a trajectory, including the given ones; 1 when steady.
        history: frames given to a model; 0 when steady.
        invariants: what the exact solution conserves (`mean`, `l2`).
        symmetries: what maps solutions to solutions: names in :data:`ups_data.symmetry.SYMMETRIES`.
        equation: the problem in one line of text.
    """

    name: str
    family: str
    kind: Literal["evolution", "steady"]
    channels: tuple[Channel, ...]
    parameters: tuple[Parameter, ...]
    boundary: str
    domain: tuple[tuple[float, float], ...]
    shape: tuple[int, ...]
    dt: float
    frames: int
    history: int
    invariants: tuple[str, ...]
    equation: str
    symmetries: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def state_channels(self) -> tuple[Channel, ...]:
        """Channels that evolve; none when steady."""
        return self._with_role("state")

    @property
    def static_channels(self) -> tuple[Channel, ...]:
        """Given coefficient fields."""
        return self._with_role("coefficient")

    @property
    def target_channels(self) -> tuple[Channel, ...]:
        """What a model predicts: the state of an evolution, the solution of a steady problem."""
        return self.state_channels if self.kind == "evolution" else self._with_role("target")

    def _with_role(self, role: Role) -> tuple[Channel, ...]:
        return tuple(channel for channel in self.channels if channel.role == role)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `from_dict` is the inverse, also after a trip through JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TaskInfo:
        """The inverse of :meth:`to_dict`."""
        plain = dict(data)
        return cls(
            **plain
            | {
                "channels": tuple(Channel(**channel) for channel in plain["channels"]),
                "parameters": tuple(Parameter(**parameter) for parameter in plain["parameters"]),
                "domain": tuple((float(low), float(high)) for low, high in plain["domain"]),
                "shape": tuple(plain["shape"]),
                "invariants": tuple(plain["invariants"]),
                "symmetries": tuple(plain.get("symmetries", ())),
            }
        )


Fraction = Annotated[float, Field(gt=0, lt=1)]


class SplitFractions(Config):
    """Shares of the trajectories; they add up to one."""

    train: Fraction = 0.8
    """What models learn from; also the only source of normalisation statistics."""
    val: Fraction = 0.1
    """What model selection looks at."""
    test: Fraction = 0.1
    """What reported numbers come from."""

    @model_validator(mode="after")
    def _add_up(self) -> SplitFractions:
        total = math.fsum((self.train, self.val, self.test))
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(f"train + val + test is {total:g}; the fractions must add up to 1")
        return self


class TaskConfig(Config):
    """Options that every task has."""

    source: Annotated[Component, Registered("sources")] = default_component("auto")
    """Where the data come from: `auto`, `official` or `generate`."""
    trajectories: int = Field(default=1000, ge=10)
    """Trajectories (steady: samples) used of every parameter value's file."""
    split: SplitFractions = SplitFractions()
    """Shares of the trajectories for training, validation and test."""


class Task(ABC):
    """A PDE problem with its data: implements :class:`ups_core.step.TaskProvider`.

    A subclass says what the problem is (`info`) and which data it asks for (`request`).
    """

    def __init__(self, config: TaskConfig, name: str):
        self.config = config
        self.name = name

    @property
    @abstractmethod
    def info(self) -> TaskInfo:
        """The problem."""

    @property
    @abstractmethod
    def request(self) -> Request:
        """The data files that it needs."""

    @property
    def source(self) -> Source:
        """Where the data come from."""
        source: Source = self.config.source.create()
        return source

    def describe(self) -> dict[str, Any]:
        """Facts for other components' plan checks: :meth:`TaskInfo.to_dict`."""
        return self.info.to_dict()

    def plan_data(self, data_root: Path) -> DataPlan:
        """Locate the data without reading more than file heads; never writes.

        The fingerprint covers the files' content and everything that selects from it: trajectories,
        resolution, frames, split fractions and history.

        Raises:
            UPSError: the source has no such data.
        """
        plan = self.source.plan(self.request, Path(data_root))
        selection = {"split": self.config.split.model_dump(), "history": self.info.history}
        return replace(plan, fingerprint=digest([plan.fingerprint, selection]))

    def prepare_data(self, data_root: Path, console: Console) -> dict[str, Any]:
        """Generate what is missing, audit the splits, compute statistics; all stored for :meth:`open`.

        Returns:
            `{fingerprint, source, files, splits: {split: trajectories}, excluded, note}`.
        """
        from ups_data.audit import audit_task

        plan = self.plan_data(data_root)
        if plan.missing:
            self.source.provide(self.request, plan, console)
            plan = self.plan_data(data_root)
        audit = audit_task(self, plan, Path(data_root), console)
        counts = {split: len(audit.splits[split]) * len(plan.files) for split in ("train", "val", "test")}
        return {
            "fingerprint": plan.fingerprint,
            "source": plan.source,
            "files": [str(path) for path in plan.files],
            "splits": counts,
            "excluded": len(audit.splits.excluded),
            "note": plan.note,
        }

    def open(self, data_root: Path) -> TaskData:
        """The prepared data.

        Raises:
            UPSError: :meth:`prepare_data` has not been called, or a file is broken.
        """
        from ups_data.dataset import open_task

        return open_task(self, Path(data_root))


def create_task(kind: str, options: Mapping[str, Any]) -> Task:
    """A registered task from plain options, for use without a spec.

    Raises:
        UPSError: nobody registers such a task, or an option is wrong.
    """
    registry = registry_in_use()
    entry = registry.get("tasks", kind)
    try:
        config = validate_options(entry.load_config(), options, registry)
    except ValidationError as error:
        problems = (
            ": ".join([*map(str, problem["loc"]), problem["msg"].removeprefix("Value error, ")])
            for problem in error.errors()
        )
        raise UsageError(f"{kind}: {'; '.join(problems)}") from error
    task: Task = entry.load()(config, name=kind)
    return task
