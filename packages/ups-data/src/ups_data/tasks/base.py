"""The base of all UPS tasks: a PDE problem together with the data files that it needs.

Imports neither torch nor numpy, so that planning stays fast; the modules that read data are imported when
they are used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ups_core import Component, Config, DataPlan, Registered, TaskConfig, default_component
from ups_core.fingerprint import digest
from ups_data.info import TaskInfo
from ups_data.sources.base import Source
from ups_data.stores.pdebench import Request

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.prepare.opening import TaskData

Fraction = Annotated[float, Field(gt=0, lt=1)]


class SplitFractions(Config):
    """Shares of the trajectories; they add up to one."""

    train: Fraction = 0.8
    """Share that models learn from; also the only source of normalisation statistics."""
    val: Fraction = 0.1
    """Share that selects weights and options."""
    test: Fraction = 0.1
    """Share that reported numbers come from."""

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
    """Trajectories (steady: samples) used from every parameter value's file."""
    split: SplitFractions = SplitFractions()
    """Shares of the trajectories for training, validation and test."""


class Task(ABC):
    """A PDE problem with its data: implements :class:`ups_core.TaskProvider`.

    A subclass states what the problem is (`info`) and which data it needs (`request`).

    Args:
        config: the task's options.
        name: the task's name in the spec.
    """

    def __init__(self, config: PDETaskConfig, name: str) -> None:
        self.config = config
        self.name = name

    @property
    @abstractmethod
    def info(self) -> TaskInfo:
        """The problem."""

    @property
    @abstractmethod
    def request(self) -> Request:
        """The data files that the task needs."""

    @property
    def source(self) -> Source:
        """Where the data come from."""
        source: Source = self.config.source.create()
        return source

    def plan_data(self, data_root: Path) -> DataPlan:
        """Locate the data without reading more than file heads; never writes.

        The fingerprint covers the content of the files and everything that selects from it: trajectories,
        resolution, frames, split fractions and history.

        Raises:
            UPSError: the source does not have this data.
        """
        plan = self.source.plan(self.request, Path(data_root).expanduser())
        selection = {"split": self._fractions, "history": self.info.history}
        return replace(plan, fingerprint=digest([plan.fingerprint, selection]))

    def prepare_data(self, data_root: Path, console: Console) -> dict[str, Any]:
        """Generate missing files, audit the splits and compute statistics, all stored for :meth:`open`.

        Returns:
            `{fingerprint, source, files, splits: {split: trajectories}, excluded, note}`.

        Raises:
            UPSError: the data are broken, or a file cannot be written.
        """
        from ups_data.prepare.audit import audit_data  # needs h5py and numpy, which planning must not import

        root = Path(data_root).expanduser()
        plan = self.plan_data(root)
        if plan.missing:
            self.source.provide(self.request, plan, console)
            plan = self.plan_data(root)
        audit = audit_data(self.info, self.request, self._fractions, plan, root, console)
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
        from ups_data.prepare.opening import open_data  # needs torch

        plan = self.plan_data(data_root)
        return open_data(self.info, self.request, self._fractions, plan, Path(data_root).expanduser())

    @property
    def _fractions(self) -> dict[str, float]:
        fractions: dict[str, float] = self.config.split.model_dump()
        return fractions
