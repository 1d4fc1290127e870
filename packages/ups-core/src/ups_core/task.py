"""The contract of a task: what a `tasks` component creates, and what the planner learns about its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ups_core.console import Console


@dataclass(frozen=True)
class DataPlan:
    """What a task's data will be, found without reading more than the headers of files.

    Attributes:
        fingerprint: changes when any value that training could see would change.
        source: `official`, `generated`, or `files` for those of the user.
        files: the files, existing or still to be generated.
        missing: those of `files` that must be generated first.
        records: what is noted about the files, such as checksums; existing or not. Copied along with them.
        note: one line for users (size, time to generate, known defects of the files).
    """

    fingerprint: str
    source: str
    files: tuple[Path, ...]
    missing: tuple[Path, ...] = ()
    records: tuple[Path, ...] = ()
    note: str = ""


class TaskProvider(Protocol):
    """A PDE problem together with its data; UPS tasks subclass `ups_data.tasks.base.Task`."""

    name: str

    def describe(self, data_root: Path) -> Any:
        """What the problem is, for the plan checks of other components: an `ups_data.info.TaskInfo`.

        Raises:
            UPSError: the problem is described by files that are not there or not as they should be.
        """
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
