"""The contract of a source: what a `sources` component creates."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ups_core import DataPlan
from ups_core.console import Console
from ups_data.stores.pdebench import Request


class Source(Protocol):
    """Where a task's data files come from."""

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """Locate the files of a request, one per parameter value; never writes.

        Planning reads file heads at most, so an implementation imports h5py and numpy only in `provide`.

        Raises:
            UPSError: the source does not have this data.
        """
        ...

    def provide(self, request: Request, plan: DataPlan, console: Console) -> None:
        """Create the plan's missing files.

        Raises:
            UPSError: a file cannot be written.
        """
        ...
