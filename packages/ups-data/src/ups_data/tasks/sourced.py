"""Tasks whose files come from a source: official, or generated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ups_core import Component, DataPlan, Registered, TaskConfig, default_component
from ups_core.console import Console
from ups_core.fingerprint import digest
from ups_core.mistakes import did_you_mean
from ups_data.info import TaskInfo
from ups_data.sources.base import Source
from ups_data.sources.request import Request
from ups_data.tasks.base import SplitFractions, Task

if TYPE_CHECKING:
    from ups_data.stores.base import SplitStores
    from ups_data.stores.file_store import FileStore

SHARED = ("source", "trajectories", "split", "test", "history", "time_stride", "hidden")
"""Options that all splits have in common."""


class SourcedConfig(TaskConfig):
    """Options of every task whose files come from a source."""

    source: Annotated[Component, Registered("sources")] = default_component("auto")
    """Where the data come from: `auto`, `official` or `generate`."""
    trajectories: int = Field(default=1000, ge=10)
    """Trajectories (steady: samples) used from every file."""
    split: SplitFractions = SplitFractions()
    """Shares of the trajectories for training, validation and test."""
    test: dict[str, Any] = {}
    """Options that the test split has otherwise: other parameter values, which reports label as out of
    distribution, a finer grid, or more frames. Its initial conditions are in no other split either way."""

    @model_validator(mode="after")
    def _test_fits(self) -> SourcedConfig:
        self.for_test()
        return self

    def for_test(self) -> SourcedConfig | None:
        """The options of the test split; None where they are those of training.

        Raises:
            ValueError: an option is unknown, or cannot differ.
        """
        if not self.test:
            return None
        known = [name for name in type(self).model_fields if name not in SHARED]
        for name in self.test:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(f"test: '{name}' cannot differ from training{hint}")
        # References to registered components are not validated again: the test split has the same.
        own = {name: getattr(self, name) for name in type(self).model_fields if name not in self.test}
        return type(self).model_validate(own | {"test": {}} | self.test)


class SourcedTask(Task):
    """A PDE problem whose files a source provides.

    A subclass says what the problem is (`info`) and which files it needs (`request`).
    """

    config: SourcedConfig

    @property
    @abstractmethod
    def info(self) -> TaskInfo:
        """The problem."""

    @property
    @abstractmethod
    def request(self) -> Request:
        """The files."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names in the files of the task's parameters, in its order; by default all of the files."""
        return tuple(self.request.files[0].parameters)

    @cached_property
    def source(self) -> Source:
        """Where the files come from."""
        source: Source = self.config.source.create()
        return source

    @property
    def fractions(self) -> Mapping[str, float]:
        """Shares of the groups of trajectories."""
        return self.config.split.shares()

    def describe(self, data_root: Path) -> TaskInfo:
        """The problem, which is known without any file."""
        return self.info

    @cached_property
    def _tested(self) -> SourcedTask | None:
        """The task of the test split, where that has options of its own."""
        config = self.config.for_test()
        return None if config is None else type(self)(config, self.name)

    def locate(self, data_root: Path) -> DataPlan:
        """The files of training, then those of a test split of its own."""
        plan = self.source.plan(self.request, data_root)
        if self._tested is None:
            return plan
        other = self._tested.locate(data_root)
        return DataPlan(
            fingerprint=digest([plan.fingerprint, other.fingerprint]),
            source=plan.source if plan.source == other.source else f"{plan.source}, test {other.source}",
            files=plan.files + other.files,
            missing=tuple(dict.fromkeys(plan.missing + other.missing)),
            records=plan.records + other.records,
            note="; test: ".join(filter(None, (plan.note, other.note))),
        )

    def provide(self, plan: DataPlan, console: Console) -> int:
        """See :class:`Task`."""
        own, others = self._parts(plan)
        made = self.source.provide(self.request, own, console)
        return made if self._tested is None else made + self._tested.provide(others, console)

    def stores(self, plan: DataPlan, data_root: Path) -> SplitStores:
        """One store, split by trajectories; a test split of its own has its share of the trajectories."""
        from ups_data.prepare.splits import divide
        from ups_data.stores.base import SplitStores  # needs numpy
        from ups_data.stores.group_subset import GroupSubset

        own, others = self._parts(plan)
        store = self._store(own)
        if self._tested is None:
            return SplitStores.same(store)
        # Trajectory i starts alike for every parameter value and on every grid.
        divided = divide(sorted(set(store.groups.tolist())), self.fractions)
        rest = GroupSubset(store, divided["train"] + divided["val"])
        info = replace(self._tested.info, parameters=self.info.parameters)
        return SplitStores(rest, rest, GroupSubset(self._tested._store(others), divided["test"], info))

    def _parts(self, plan: DataPlan) -> tuple[DataPlan, DataPlan]:
        """What of a plan is for training, and what for a test split of its own."""
        count = len(self.request.files)

        def only(files: tuple[Path, ...]) -> DataPlan:
            return replace(plan, files=files, missing=tuple(path for path in plan.missing if path in files))

        return only(plan.files[:count]), only(plan.files[count:])

    def _store(self, plan: DataPlan) -> FileStore:
        from ups_data.stores.file_store import FileStore
        from ups_data.stores.part import Part

        request = self.request
        layout = request.layout.create()
        parts = [
            Part(layout.open(path), file.parameters)
            for path, file in zip(plan.files, request.files, strict=True)
        ]
        return FileStore(request.info, parts, self.parameter_names, request.trajectories, request.paired)
