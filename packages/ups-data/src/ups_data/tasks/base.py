"""The base of all UPS tasks: a PDE problem together with the data files that it needs.

Imports neither torch nor numpy, so that planning stays fast; what touches data is imported when it is used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError, model_validator

from ups_core import Component, Config, DataPlan, Registered, TaskConfig, UsageError, default_component
from ups_core.component import validate_options
from ups_core.fingerprint import digest
from ups_core.plugin_loader import registry_in_use
from ups_data.info import TaskInfo
from ups_data.stores.pdebench import Request

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.prepare.opening import TaskData
    from ups_data.sources.pdebench import Source

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


class PDETaskConfig(TaskConfig):
    """Options that every UPS task has."""

    source: Annotated[Component, Registered("sources")] = default_component("auto")
    """Where the data come from: `auto`, `official` or `generate`."""
    trajectories: int = Field(default=1000, ge=10)
    """Trajectories (steady: samples) used of every parameter value's file."""
    split: SplitFractions = SplitFractions()
    """Shares of the trajectories for training, validation and test."""


class Task(ABC):
    """A PDE problem with its data: implements :class:`ups_core.TaskProvider`.

    A subclass says what the problem is (`info`) and which data it asks for (`request`).
    """

    def __init__(self, config: PDETaskConfig, name: str):
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
        from ups_data.prepare.audit import audit_task

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
        from ups_data.prepare.opening import open_task

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
    task: Task = entry.create(config, name=kind)
    return task
