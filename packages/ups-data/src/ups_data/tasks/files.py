"""Tasks whose files the user gives: the problem is what the files and the spec say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ups_core import DataPlan, UPSError
from ups_core.fingerprint import digest
from ups_core.mistakes import did_you_mean
from ups_data.info import Parameter, TaskInfo
from ups_data.prepare.integrity import OWN
from ups_data.stores.array_options import SPACE
from ups_data.stores.checksums import own_sum
from ups_data.tasks.base import Task
from ups_data.tasks.described import (
    boundary_of,
    channels_of,
    check_same_problem,
    ends_of,
    frames_and_step,
    points_of,
)
from ups_data.tasks.files_config import FilesConfig, LayoutFilesConfig, scale_of
from ups_data.tasks.places import find_files, numbers_in_name
from ups_data.tasks.time_parts import gap_of, time_parts

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.stores.base import SplitStores, TrajectoryStore
    from ups_data.stores.layout import FieldFile, Layout
    from ups_data.stores.part import Part

NOT_FINITE = "replace such values in the file, or leave the trajectory out"
QUICK = 64 * 1024**2
"""Bytes up to which planning reads all of a file; of larger ones it reads samples."""


class FilesTask(Task):
    """A problem in files of a registered layout."""

    config: FilesConfig

    @cached_property
    def layout(self) -> Layout:
        """How the files map to trajectories."""
        assert isinstance(self.config, LayoutFilesConfig)
        layout: Layout = self.config.layout.create()
        return layout

    @property
    def fractions(self) -> Mapping[str, float]:
        """See :class:`Task`."""
        return self.config.split.shares()

    def describe(self, data_root: Path) -> TaskInfo:
        """The problem as the files to learn from have it; by time, with the frames of the training part.

        Raises:
            UPSError: a file is missing, cannot be read, or does not fit the options.
        """
        root = Path(data_root).expanduser()
        info = self._info(self._parts(self._paths(root)["train"]))
        if self.config.split.by == "time":
            start, stop = time_parts(self.config, info)["train"]
            info = replace(info, frames=stop - start)
        return info

    def locate(self, data_root: Path) -> DataPlan:
        """See :class:`Task`; the fingerprint covers the content of the files and all options but their
        places."""
        config = self.config
        paths = self._paths(data_root)
        files = tuple(dict.fromkeys(path for group in paths.values() for path in group))
        content = {split: [[path.name, own_sum(path, QUICK)] for path in paths[split]] for split in paths}
        options = config.model_dump(mode="json", exclude={"files", "train", "val", "test", "path"})
        note = ""
        if config.split.by == "time":
            gap = gap_of(config)
            note = f"split by time with a gap of {gap} frames: an easier test than unseen trajectories"
        return DataPlan(fingerprint=digest(["files", content, options]), source=OWN, files=files, note=note)

    def prepare_data(self, data_root: Path, console: Console) -> dict[str, Any]:
        """See :class:`Task`."""
        from ups_data.prepare.splits import RepeatsError

        try:
            return super().prepare_data(data_root, console)
        except RepeatsError as error:
            way = "if trajectory number i starts alike in every file, set same_starts: true"
            raise RepeatsError(f"{error}; {way}") from error

    def stores(self, plan: DataPlan, data_root: Path) -> SplitStores:
        """See :class:`Task`."""
        from ups_data.stores.base import SplitStores  # needs numpy
        from ups_data.stores.frame_range import FrameRange

        paths = self._paths(data_root)
        train = self._store(paths["train"], 0)
        if self.config.split.by == "time":
            count = int(train.groups.max()) + 1
            ranges = time_parts(self.config, train.info).items()
            parts = {
                split: FrameRange(train, start, stop, number * count)
                for number, (split, (start, stop)) in enumerate(ranges)
            }
            return SplitStores(**parts)
        stores, first = {"train": train}, int(train.groups.max()) + 1
        for split in ("val", "test"):
            if paths[split] == paths["train"]:
                stores[split] = train
            else:
                stores[split] = self._store(paths[split], first, train.info)
                first = int(stores[split].groups.max()) + 1
        return SplitStores(**stores)

    def _paths(self, data_root: Path) -> dict[str, tuple[Path, ...]]:
        """The files of every split; those of training where a split has none of its own."""
        config = self.config
        train = find_files(config.files or config.train, data_root)
        val = find_files(config.val, data_root) if config.val else train
        return {
            "train": train,
            "val": val,
            "test": find_files(config.test, data_root) if config.test else train,
        }

    def _parts(self, paths: Sequence[Path]) -> tuple[Part, ...]:
        """The files with the parameters that their names have."""
        from ups_data.stores.part import Part  # needs numpy

        # Opened once: describing a task, planning and reading ask for the heads of the same files.
        for path in paths:
            self._opened.setdefault(path, self.layout.open(path))
        return tuple(Part(self._opened[path], self._known(path), "its name or the spec") for path in paths)

    @cached_property
    def _opened(self) -> dict[Path, FieldFile]:
        """Files by their paths."""
        return {}

    def _known(self, path: Path) -> dict[str, float]:
        """Parameters of a file from the spec and from its name."""
        numbers = {
            name: value for name, value in self.config.parameters.items() if not isinstance(value, str)
        }
        pattern = self.config.file_pattern
        return {**numbers, **(numbers_in_name(pattern, path) if pattern else {})}

    def _names(self, parts: Sequence[Part]) -> dict[str, str]:
        """Parameter -> its name in the files, or the same name if it is known from elsewhere."""
        given = self.config.parameters
        names = {name: value if isinstance(value, str) else name for name, value in given.items()}
        for name in parts[0].parameters:
            names.setdefault(name, name)
        return names

    def _store(
        self, paths: Sequence[Path], first_group: int, like: TaskInfo | None = None
    ) -> TrajectoryStore:
        from ups_data.stores.file_store import FileStore  # needs numpy

        parts = self._parts(paths)
        info = self._info(parts)
        if like is not None:
            check_same_problem(info, like, parts[0].file.path)
        names = list(self._names(parts).values())
        config = self.config
        return FileStore(info, parts, names, config.trajectories, config.same_starts, first_group, NOT_FINITE)

    def _info(self, parts: Sequence[Part]) -> TaskInfo:
        """The problem, with the grid and the frames of the first file."""
        head, config, path = parts[0].file.head, self.config, parts[0].file.path
        axes = SPACE[: len(head.axes)]
        sides = boundary_of(config, axes, head, path)
        strides = config.space_stride
        points = [
            line[:: strides if isinstance(strides, int) else strides.get(axis, 1)]  # type: ignore[call-overload]
            for axis, line in zip(axes, head.axes.values(), strict=True)
        ]
        steady = not head.times
        frames, dt = (1, 0.0) if steady else frames_and_step(config, head, path)
        try:
            return TaskInfo(
                name=self.name,
                family=self.kind,
                kind="steady" if steady else "evolution",
                channels=channels_of(config, head),
                parameters=self._parameter_infos(parts),
                boundary=sides,
                domain=tuple(
                    ends_of(config, axis, line, pair)
                    for axis, line, pair in zip(axes, points, sides, strict=True)
                ),
                shape=tuple(map(len, points)),
                dt=dt,
                frames=frames,
                history=0 if steady else config.history,
                invariants=tuple(config.invariants),
                equation=config.equation,
                symmetries=tuple(config.symmetries),
                points=tuple(points_of(line) for line in points),
                solver="none",
            )
        except UPSError as error:
            raise UPSError(f"{path}: {error}") from error

    @property
    def kind(self) -> str:
        """The registered kind of the task."""
        return "files"

    def _parameter_infos(self, parts: Sequence[Part]) -> tuple[Parameter, ...]:
        """Every parameter with its range over all files."""
        infos = []
        for name, stored in self._names(parts).items():
            values: list[float] = []
            for part in parts:
                if stored in part.parameters:
                    values.append(part.parameters[stored])
                    continue
                found = part.file.head.parameters
                if stored not in found:
                    raise UPSError(
                        f"{part.file.path}: no number '{stored}' for parameter '{name}'"
                        f"{did_you_mean(stored, list(found))}; correct it or give a number"
                    )
                values += [float(found[stored].min()), float(found[stored].max())]
            unit = self.config.units.get(name, "1")
            infos.append(Parameter(name, unit, min(values), max(values), scale_of(self.config, name)))
        return tuple(infos)
