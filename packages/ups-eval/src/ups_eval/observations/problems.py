"""The problems of inferring fields from points, posed as steady tasks of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ups_data.info import Channel, TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.stores.base import Array, Chunk, Integers, SplitStores, TrajectoryStore
from ups_eval.observations.config import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

GIVEN = "known_"
"""Beginning of the names of the channels that hold the true fields, of which entrants see some points."""


def problem_name(task: str, direction: Direction) -> str:
    """What the problem is called in results."""
    return f"{task}.{direction}"


def wanted_channels(info: TaskInfo, direction: Direction) -> slice:
    """The channels to infer, among coefficients and then solutions."""
    given = len(info.static_channels)
    return {"forward": slice(given, None), "inverse": slice(0, given), "both": slice(None)}[direction]


def observed_channels(info: TaskInfo, direction: Direction) -> slice:
    """The channels that are observed at points."""
    given = len(info.static_channels)
    return {"forward": slice(0, given), "inverse": slice(given, None), "both": slice(None)}[direction]


def inference_problem(data: TaskData, direction: Direction) -> TaskData:
    """The data of a task as those of an inference: all true fields given, the wanted ones as targets.

    Residuals are defined where the wanted field is the solution."""
    info = _posed(data.info, direction)
    stores = SplitStores(
        *(JointStore(data.stores.of(split), direction) for split in ("train", "val", "test"))
    )
    return replace(data, info=info, stores=stores, solver=data.solver if direction == "forward" else None)


def _posed(info: TaskInfo, direction: Direction) -> TaskInfo:
    fields = info.static_channels + info.target_channels
    given = tuple(replace(channel, name=GIVEN + channel.name, role="coefficient") for channel in fields)
    wanted = tuple(
        Channel(channel.name, channel.unit, "target", positive=channel.positive, values=channel.values)
        for channel in fields[wanted_channels(info, direction)]
    )
    return replace(info, name=problem_name(info.name, direction), channels=(*given, *wanted), symmetries=())


class JointStore:
    """A :class:`~ups_data.stores.base.TrajectoryStore` whose given fields are all fields of another one.

    Args:
        store: of a steady task.
        direction: what is wanted.
    """

    def __init__(self, store: TrajectoryStore, direction: Direction) -> None:
        self._store = store
        self._wanted = wanted_channels(store.info, direction)
        self.info = _posed(store.info, direction)

    @property
    def groups(self) -> Integers:
        """See the protocol."""
        return self._store.groups

    @property
    def parameters(self) -> NDArray[np.float64]:
        """See the protocol."""
        return self._store.parameters

    @property
    def place(self) -> str:
        """See the protocol."""
        return self._store.place

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """The wanted fields as one frame."""
        return self.static(trajectories)[:, None, self._wanted]

    def static(self, trajectories: Integers) -> Array:
        """All fields `(B, J, *S)`."""
        zeros = np.zeros(len(trajectories), dtype=np.int64)
        return np.concatenate(
            [self._store.static(trajectories), self._store.frames(trajectories, zeros, 1)[:, 0]], axis=1
        )

    def chunks(self) -> Iterator[Chunk]:
        """Everything in order."""
        for part, frames, static in self._store.chunks():
            fields = np.concatenate([static, frames[:, 0]], axis=1)
            yield Chunk(part, fields[:, None, self._wanted], fields)


def of_problems(data: Mapping[str, TaskData], directions: tuple[Direction, ...]) -> dict[str, TaskData]:
    """All problems by name."""
    problems = [inference_problem(opened, direction) for opened in data.values() for direction in directions]
    return {problem.info.name: problem for problem in problems}
