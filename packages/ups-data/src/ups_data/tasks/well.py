"""The task `the_well`: files of The Well, with its folders as splits and its simulation parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ups_core import UPSError
from ups_data.info import Parameter, TaskInfo
from ups_data.tasks.files import FilesTask
from ups_data.tasks.well_config import WellConfig

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.prepare.statistics import Statistics
    from ups_data.stores.layout import Layout
    from ups_data.stores.part import Part
    from ups_data.stores.well_scalars import Scalars

FOLDERS = {"train": "train", "val": "valid", "test": "test"}
"""Split -> its folder."""
ENDINGS = (".hdf5", ".h5")
STATISTICS = "stats.yaml"


class WellTask(FilesTask):
    """A problem in files of The Well."""

    config: WellConfig

    @cached_property
    def layout(self) -> Layout:
        """See :class:`FilesTask`."""
        from ups_data.stores.layout_config import TheWellConfig
        from ups_data.stores.well import TheWell  # needs h5py

        return TheWell(TheWellConfig())

    @property
    def kind(self) -> str:
        """See :class:`FilesTask`."""
        return "the_well"

    def review(self, info: TaskInfo, statistics: Statistics, data_root: Path, console: Console) -> None:
        """Compare the statistics with those that the folder has, unless only a part of its data is used."""
        from ups_data.prepare.well_statistics import compare_statistics

        config = self.config
        place = self._folder(data_root) / STATISTICS
        if config.path and config.trajectories is None and config.frames is None and place.exists():
            compare_statistics(place, info, statistics, console)

    def _folder(self, data_root: Path) -> Path:
        return data_root / Path(self.config.path).expanduser()

    def _paths(self, data_root: Path) -> dict[str, tuple[Path, ...]]:
        """See :class:`FilesTask`; files of a folder are in the order of their names."""
        if not self.config.path:
            return super()._paths(data_root)
        folder = self._folder(data_root)
        inner = folder if (folder / FOLDERS["train"]).is_dir() else folder / "data"
        paths = {}
        for split, name in FOLDERS.items():
            try:
                found = sorted(path for path in (inner / name).iterdir() if _is_data(path))
            except OSError as error:
                raise UPSError(
                    f"{inner / name} is not a readable folder ({error.strerror}); path is a folder with the "
                    f"folders {', '.join(FOLDERS.values())}, or with a folder 'data' that has them; a "
                    f"relative path starts at the data root {data_root}"
                ) from None
            if not found:
                raise UPSError(f"{inner / name} has no files with the ending {' or '.join(ENDINGS)}")
            paths[split] = tuple(found)
        return paths

    def _info(self, parts: Sequence[Part]) -> TaskInfo:
        """See :class:`FilesTask`; all files need the same fields and boundaries."""
        first = parts[0].file
        for part in parts[1:]:
            head = part.file.head
            pairs = {
                "the channels": (head.channels, first.head.channels),
                "the given fields": (head.static, first.head.static),
            }
            if self.config.boundary is None:
                pairs["the boundaries"] = (_in_words(head.boundary), _in_words(first.head.boundary))
            for what, (found, wanted) in pairs.items():
                if found != wanted:
                    raise UPSError(
                        f"{part.file.path} has {what} {', '.join(found) or 'none'}, but {first.path} has "
                        f"{', '.join(wanted) or 'none'}; all files need the same"
                    )
        return super()._info(parts)

    def _names(self, parts: Sequence[Part]) -> dict[str, str]:
        """See :class:`FilesTask`; then the simulation parameters that no option names."""
        names = super()._names(parts)
        if self.config.simulation_parameters:
            for name in sorted(set(self._scalars(parts[0]).simulation) - set(names.values())):
                names.setdefault(name, name)
        return names

    def _parameter_infos(self, parts: Sequence[Part]) -> tuple[Parameter, ...]:
        """See :class:`FilesTask`."""
        for name, stored in self._names(parts).items():
            if stored in self._scalars(parts[0]).varying:
                raise UPSError(
                    f"{parts[0].file.path}: the scalar '{stored}' of parameter '{name}' varies in time, but "
                    "a parameter is one number for a trajectory; remove it from parameters"
                )
        return super()._parameter_infos(parts)

    @staticmethod
    def _scalars(part: Part) -> Scalars:
        from ups_data.stores.well import WellFile

        assert isinstance(part.file, WellFile)
        return part.file.scalars


def _is_data(path: Path) -> bool:
    """Whether a file of a folder has data, as its name tells; hidden files are not of The Well."""
    return path.suffix in ENDINGS and not path.name.startswith(".")


def _in_words(boundary: tuple[tuple[str, str], ...] | None) -> tuple[str, ...]:
    return tuple(f"{low or '?'}-{high or '?'}" for low, high in boundary or ())
