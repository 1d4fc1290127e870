"""Options of the task `the_well`."""

from __future__ import annotations

from ups_data.stores.array_options import Axis, Interval
from ups_data.tasks.files_config import FilesConfig


class WellConfig(FilesConfig):
    """A problem in files of The Well."""

    path: str = ""
    """Folder with the folders `train`, `valid` and `test`, or with a folder `data` that has them; in place of
    `files`, `train`, `val` and `test`. A relative path starts at the data root."""
    simulation_parameters: bool = True
    """Whether models get all simulation parameters that the files list, by their names there, and not only
    those that `parameters` names."""
    domain: dict[Axis, Interval] = {}
    """Axis -> its ends; default: the ends of the coordinates, and one spacing more where the axis is
    periodic."""

    def check_sources(self) -> None:
        """See :class:`FilesConfig`."""
        given = [name for name in ("files", "train", "val", "test") if getattr(self, name)]
        if not self.path and not given:
            raise ValueError("no data: give path, or files, or train and test (and val)")
        if not self.path:
            super().check_sources()
            return
        if given:
            raise ValueError(f"path is a folder with all splits; remove {given[0]}")
        if self.split.by == "time":
            raise ValueError("split.by is 'time', but path is a folder with splits; give files instead")
