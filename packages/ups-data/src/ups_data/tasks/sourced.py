"""Tasks whose files come from a source: official, or generated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ups_core import Component, DataPlan, Registered, TaskConfig, default_component
from ups_core.console import Console
from ups_data.info import TaskInfo
from ups_data.sources.base import Source
from ups_data.sources.request import Request
from ups_data.tasks.base import SplitFractions, Task

if TYPE_CHECKING:
    from ups_data.stores.base import SplitStores


class SourcedConfig(TaskConfig):
    """Options of every task whose files come from a source."""

    source: Annotated[Component, Registered("sources")] = default_component("auto")
    """Where the data come from: `auto`, `official` or `generate`."""
    trajectories: int = Field(default=1000, ge=10)
    """Trajectories (steady: samples) used from every file."""
    split: SplitFractions = SplitFractions()
    """Shares of the trajectories for training, validation and test."""


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

    def locate(self, data_root: Path) -> DataPlan:
        """See :class:`Task`."""
        return self.source.plan(self.request, data_root)

    def provide(self, plan: DataPlan, console: Console) -> int:
        """See :class:`Task`."""
        return self.source.provide(self.request, plan, console)

    def stores(self, plan: DataPlan, data_root: Path) -> SplitStores:
        """One store, split by trajectories."""
        from ups_data.stores.base import SplitStores  # needs numpy
        from ups_data.stores.file_store import FileStore, Part

        request = self.request
        layout = request.layout.create()
        parts = [
            Part(layout.open(path), file.parameters)
            for path, file in zip(plan.files, request.files, strict=True)
        ]
        names = tuple(request.files[0].parameters)
        return SplitStores.same(FileStore(request.info, parts, names, request.trajectories, request.paired))
