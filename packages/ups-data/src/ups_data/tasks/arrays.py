"""The task `arrays`: a problem in files of named arrays."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ups_data.tasks.files import FilesTask
from ups_data.tasks.files_config import ArraysConfig

if TYPE_CHECKING:
    from ups_data.stores.layout import Layout


class ArraysTask(FilesTask):
    """A problem in files of named arrays."""

    config: ArraysConfig

    @cached_property
    def layout(self) -> Layout:
        """See :class:`FilesTask`."""
        from ups_data.stores.arrays import Arrays  # needs numpy

        return Arrays(self.config)

    @property
    def kind(self) -> str:
        """See :class:`FilesTask`."""
        return "arrays"
