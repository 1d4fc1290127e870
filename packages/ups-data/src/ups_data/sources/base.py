"""The contract of a source: what a `sources` component creates."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ups_core import DataPlan
from ups_core.console import Console
from ups_data.sources.request import Request


class Source(Protocol):
    """Where a task's data files come from."""

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """Locate the files of a request, in its order; never writes.

        Planning reads file heads at most, so an implementation imports h5py and numpy only in `provide`.

        Raises:
            UPSError: the source does not have this data.
        """
        ...

    def provide(self, request: Request, plan: DataPlan, console: Console) -> int:
        """Make sure that all files of a plan are there and sound.

        Returns:
            How many files were created.

        Raises:
            UPSError: a file cannot be written, or is damaged and cannot be made again.
        """
        ...
