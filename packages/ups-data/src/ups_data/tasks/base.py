"""The base of all UPS tasks: a PDE problem together with the data files that it needs.

Imports neither torch nor numpy, so that planning stays fast; the modules that read data are imported when
they are used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ups_core import Config, DataPlan, TaskConfig
from ups_core.fingerprint import digest
from ups_data.info import TaskInfo
from ups_data.prepare.integrity import place_of_audit
from ups_data.sources.generated import ALREADY_GENERATED
from ups_data.stores.checksums import place_of_sum

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.prepare.opening import TaskData
    from ups_data.prepare.statistics import Statistics
    from ups_data.solvers.base import ClassicalSolver
    from ups_data.stores.base import SplitStores

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

    def shares(self) -> dict[str, float]:
        """Split -> share."""
        return {"train": self.train, "val": self.val, "test": self.test}


class Task(ABC):
    """A PDE problem with its data: implements :class:`ups_core.TaskProvider`.

    A subclass states what the problem is, where its files are and how they map to trajectories.

    Args:
        config: the task's options.
        name: the task's name in the spec.
    """

    def __init__(self, config: TaskConfig, name: str) -> None:
        self.config = config
        self.name = name

    @abstractmethod
    def describe(self, data_root: Path) -> TaskInfo:
        """The problem.

        Raises:
            UPSError: files describe it, and one is missing or not as it should be.
        """

    @abstractmethod
    def locate(self, data_root: Path) -> DataPlan:
        """The files, existing or still to be made; never writes.

        Raises:
            UPSError: the data can be neither found nor made.
        """

    @abstractmethod
    def stores(self, plan: DataPlan, data_root: Path) -> SplitStores:
        """The trajectories of every split in the files of a plan; opened when they are first read."""

    @property
    @abstractmethod
    def fractions(self) -> Mapping[str, float]:
        """Shares of the groups of trajectories, where splits have one store."""

    def provide(self, plan: DataPlan, console: Console) -> int:
        """Make the missing files of a plan, and those again that are damaged.

        Returns:
            How many files were made.
        """
        return 0

    def review(self, info: TaskInfo, statistics: Statistics, data_root: Path, console: Console) -> None:  # noqa: B027
        """Report what is noteworthy about the statistics of the training split; nothing by default."""

    def solver(self) -> ClassicalSolver | None:
        """A classical solver of the problem, for residuals and costs; none by default."""
        return None

    def plan_data(self, data_root: Path) -> DataPlan:
        """Locate the data without reading more than file heads; never writes.

        The fingerprint covers the content of the files and everything that selects from it: trajectories,
        resolution, frames, splits and history.

        Raises:
            UPSError: the data can be neither found nor made.
        """
        root = Path(data_root).expanduser()
        plan = self.locate(root)
        selection = {"split": dict(self.fractions), "history": self.describe(root).history}
        fingerprint = digest([plan.fingerprint, selection])
        records = (place_of_audit(root, fingerprint), *map(place_of_sum, plan.files))
        return replace(plan, fingerprint=fingerprint, records=records)

    def prepare_data(self, data_root: Path, console: Console) -> dict[str, Any]:
        """Make missing files, audit the splits and compute statistics, all stored for :meth:`open`.

        Returns:
            `{fingerprint, source, files, sums, splits: {split: trajectories}, excluded, note}`, where `sums`
            are the SHA-256 of the files.

        Raises:
            UPSError: the data are broken, or a file cannot be written.
        """
        from ups_data.prepare.audit import audit_data  # needs h5py and numpy, which planning must not import

        root = Path(data_root).expanduser()
        plan = self.plan_data(root)
        if created := self.provide(plan, console):
            ready = self.plan_data(root)
            made = f"{created} file{'s' if created > 1 else ''} generated by this run"
            plan = replace(ready, note=ready.note.replace(ALREADY_GENERATED, made))
        stores = self.stores(plan, root)
        info = self.describe(root)
        audit = audit_data(info, stores, self.fractions, plan, root, console)
        self.review(info, audit.statistics, root, console)
        return {
            "fingerprint": plan.fingerprint,
            "source": plan.source,
            "files": [str(path) for path in plan.files],
            "sums": list(audit.sums),
            "splits": {split: stores.count(split, audit.splits[split]) for split in ("train", "val", "test")},
            "excluded": len(audit.splits.excluded),
            "note": plan.note,
        }

    def open(self, data_root: Path) -> TaskData:
        """The prepared data.

        Raises:
            UPSError: :meth:`prepare_data` has not been called, or a file is broken.
        """
        from ups_data.prepare.opening import open_data  # needs torch

        root = Path(data_root).expanduser()
        plan = self.plan_data(root)
        data = open_data(self.describe(root), self.stores(plan, root), self.fractions, plan, root)
        return replace(data, solver=self.solver())
