"""Tasks whose files the user gives: the problem is what the files and the spec say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ups_core import DataPlan, UPSError
from ups_core.fingerprint import digest
from ups_core.mistakes import did_you_mean
from ups_data.info import Channel, Parameter, Sides, TaskInfo
from ups_data.prepare.integrity import OWN
from ups_data.stores.array_options import SPACE
from ups_data.stores.checksums import own_sum
from ups_data.tasks.base import Task
from ups_data.tasks.files_config import ArraysConfig, FilesConfig, LayoutFilesConfig, scale_of
from ups_data.tasks.places import find_files, numbers_in_name

if TYPE_CHECKING:
    from ups_core.console import Console
    from ups_data.stores.base import SplitStores, TrajectoryStore
    from ups_data.stores.file_store import Part
    from ups_data.stores.layout import FieldFile, Head, Layout, Points

NOT_FINITE = "replace such values in the file, or leave the trajectory out"
QUICK = 64 * 1024**2
"""Bytes up to which planning reads all of a file; of larger ones it reads samples."""
TOLERANCE = 1e-3
"""Of spacings, relative to their mean: float32 coordinates of 10,000 points differ by less."""


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
        return self._described(root)

    def _described(self, root: Path) -> TaskInfo:
        info = self._info(self._parts(self._paths(root)["train"]))
        if self.config.split.by == "time":
            start, stop = self._ranges(info)["train"]
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
            note = f"split by time with a gap of {self._gap} frames: an easier test than unseen trajectories"
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
            ranges = self._ranges(train.info).items()
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
        from ups_data.stores.file_store import Part  # needs numpy

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
            _check_like(info, like, parts[0].file.path)
        names = list(self._names(parts).values())
        config = self.config
        return FileStore(info, parts, names, config.trajectories, config.same_starts, first_group, NOT_FINITE)

    def _info(self, parts: Sequence[Part]) -> TaskInfo:
        """The problem, with the grid and the frames of the first file."""
        head, config, path = parts[0].file.head, self.config, parts[0].file.path
        axes = SPACE[: len(head.axes)]
        sides = self._sides(axes, head, path)
        strides = config.space_stride
        points = [
            line[:: strides if isinstance(strides, int) else strides.get(axis, 1)]  # type: ignore[call-overload]
            for axis, line in zip(axes, head.axes.values(), strict=True)
        ]
        steady = not head.times
        frames, dt = (1, 0.0) if steady else self._time(head, path)
        try:
            return TaskInfo(
                name=self.name,
                family=self.kind,
                kind="steady" if steady else "evolution",
                channels=self._channel_infos(head, steady),
                parameters=self._parameter_infos(parts),
                boundary=sides,
                domain=tuple(
                    self._interval(axis, line, pair)
                    for axis, line, pair in zip(axes, points, sides, strict=True)
                ),
                shape=tuple(map(len, points)),
                dt=dt,
                frames=frames,
                history=0 if steady else config.history,
                invariants=tuple(config.invariants),
                equation=config.equation,
                symmetries=tuple(config.symmetries),
                points=tuple(_ends(line) for line in points),
            )
        except UPSError as error:
            raise UPSError(f"{path}: {error}") from error

    @property
    def kind(self) -> str:
        """The registered kind of the task."""
        return "files"

    def _time(self, head: Head, path: Path) -> tuple[int, float]:
        """Frames and the time between them."""
        config = self.config
        name, times = next(iter(head.times.items()))
        steps = [float(step) for step in times[1:] - times[:-1]]
        mean = (float(times[-1]) - float(times[0])) / max(1, len(times) - 1)
        if any(abs(step - mean) > 10 * TOLERANCE * mean for step in steps):
            worst = max(range(len(steps)), key=lambda number: abs(steps[number] - mean))
            raise UPSError(
                f"{path}: the times '{name}' are not evenly spaced: a step of {steps[worst]:g} after frame "
                f"{worst}, "
                f"{mean:g} on average; interpolate to constant steps"
            )
        available = -(-head.frames // config.time_stride)
        frames = config.frames or available
        if frames > available:
            raise UPSError(
                f"{path}: has {head.frames} frames, but {frames} frames {config.time_stride} apart need "
                f"{(frames - 1) * config.time_stride + 1}"
            )
        if frames <= config.history:
            raise UPSError(
                f"{path}: has {frames} frames, but history {config.history} leaves none to predict"
            )
        return frames, mean * config.time_stride

    def _sides(self, axes: Sequence[str], head: Head, path: Path) -> tuple[Sides, ...]:
        given = self.config.boundary
        if given is None:
            return self._stored_sides(axes, head, path)
        if isinstance(given, str):
            return ((given, given),) * len(axes)
        words: dict[str, Any] = {str(axis): word for axis, word in given.items()}
        missing = [axis for axis in axes if axis not in words]
        extra = [axis for axis in words if axis not in axes]
        if missing or extra:
            raise UPSError(
                f"task '{self.name}': boundary names the axes {', '.join(words)}, but the data have "
                f"{', '.join(axes)}"
            )
        return tuple((words[axis],) * 2 if isinstance(words[axis], str) else words[axis] for axis in axes)

    def _stored_sides(self, axes: Sequence[str], head: Head, path: Path) -> tuple[Sides, ...]:
        """The boundaries that a file has."""
        if head.boundary is None:
            raise UPSError(f"{path}: the file does not say its boundaries; set boundary")
        for axis, words in zip(axes, head.boundary, strict=True):
            for end, word in zip(("low", "high"), words, strict=True):
                if not word:
                    raise UPSError(
                        f"{path}: the file does not give one boundary at the {end} end of axis {axis}; "
                        "set boundary"
                    )
        return tuple(cast("Sides", words) for words in head.boundary)  # TaskInfo checks the words

    def _interval(self, axis: str, points: Points, sides: Sides) -> tuple[float, float]:
        """The ends of an axis: as given, or the ends of its points, one spacing further where it is
        periodic."""
        first, last = float(points[0]), float(points[-1])
        given: Mapping[str, tuple[float, float]] = getattr(self.config, "domain", {})
        if axis in given:
            low, high = given[axis]
            slack = TOLERANCE * (high - low)
            if first < low - slack or last > high + slack:
                raise UPSError(
                    f"the points along {axis} go from {first:g} to {last:g}, beyond its domain ({low:g}, "
                    f"{high:g})"
                )
            return low, high
        spacing = (last - first) / max(1, len(points) - 1)
        return first, last + (spacing if sides[0] == "periodic" else 0.0)

    def _channel_infos(self, head: Head, steady: bool) -> tuple[Channel, ...]:
        config = self.config
        places = {
            channel: (vector, (axis,))
            for vector, names in config.vectors.items()
            for axis, channel in enumerate(names)
        }
        every = (*head.channels, *head.static)
        for name in (*places, *config.units, *config.forcing):
            if (
                name not in every
                and name not in config.parameters
                and "{" + name + "}" not in config.file_pattern
            ):
                raise UPSError(f"task '{self.name}': no channel '{name}'{did_you_mean(name, list(every))}")

        def described(name: str, role: Any) -> Channel:
            stored = head.components.get(name, ("", ()))
            vector, component = places.get(name, stored)
            return Channel(name, config.units.get(name, "1"), role, vector, component)

        given = [described(name, "coefficient") for name in head.static]
        role = "target" if steady else "state"
        wanted = [described(name, role) for name in head.channels if name not in config.forcing]
        forcing = [described(name, "forcing") for name in head.channels if name in config.forcing]
        return (*given, *wanted, *forcing)

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

    @property
    def _gap(self) -> int:
        gap = self.config.split.gap
        return self.config.history + 1 if gap is None else gap

    def _ranges(self, info: TaskInfo) -> dict[str, tuple[int, int]]:
        """First frame and end of every part of the time.

        Raises:
            UPSError: a part is too short for one step.
        """
        shares, gap = self.config.split.shares(), self._gap
        usable = info.frames - 2 * gap
        sizes = {split: round(usable * shares[split]) for split in ("val", "test")}
        sizes = {"train": usable - sum(sizes.values()), **sizes}
        short = [split for split, size in sizes.items() if size <= info.history]
        if short:
            raise UPSError(
                f"task '{self.name}': {info.frames} frames less two gaps of {gap} leave {sizes[short[0]]} "
                "for "
                f"{short[0]}, too few for history {info.history}; use more frames, a smaller gap or other "
                "shares"
            )
        ranges, start = {}, 0
        for split in ("train", "val", "test"):
            ranges[split] = (start, start + sizes[split])
            start += sizes[split] + gap
        return ranges


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


def _ends(points: Points) -> tuple[float, ...]:
    """The first and the last of evenly spaced points, else all of them."""
    if len(points) < 3:
        return (float(points[0]), float(points[-1]))
    steps = points[1:] - points[:-1]
    if float(abs(steps - steps.mean()).max()) <= 10 * TOLERANCE * float(steps.mean()):
        return (float(points[0]), float(points[-1]))
    return tuple(map(float, points))


def _check_like(info: TaskInfo, like: TaskInfo, path: Path) -> None:
    """Check that files of another split have the same problem; their grid and length may differ."""
    slack = [
        TOLERANCE * (high - low) + step for (low, high), step in zip(like.domain, like.spacing, strict=True)
    ]
    problem = ""
    if [channel.name for channel in info.channels] != [channel.name for channel in like.channels]:
        problem = f"has the channels {', '.join(channel.name for channel in info.channels)}"
    elif [item.name for item in info.parameters] != [item.name for item in like.parameters]:
        problem = f"has the parameters {', '.join(item.name for item in info.parameters) or 'none'}"
    elif info.dim != like.dim:
        problem = f"has {info.dim} axes of space"
    elif info.sides != like.sides:
        problem = f"has the boundary {info.sides}, not {like.sides}"
    elif abs(info.dt - like.dt) > 10 * TOLERANCE * like.dt:
        problem = f"has frames {info.dt:g} apart, not {like.dt:g}"
    elif any(
        abs(ours - theirs) > room
        for mine, other, room in zip(info.domain, like.domain, slack, strict=True)
        for ours, theirs in zip(mine, other, strict=True)
    ):
        problem = f"has the domain {info.domain}, not {like.domain}"
    if problem:
        raise UPSError(f"{path} {problem}; all splits need the same problem")
