"""Descriptions of evolutions on small grids."""

from __future__ import annotations

from ups_data.info import Channel, TaskInfo


def info_of(channels: int, shape: tuple[int, ...]) -> TaskInfo:
    """A periodic problem of so many scalar states, with three frames."""
    return TaskInfo(
        name="written",
        family="written",
        kind="evolution",
        channels=tuple(Channel(f"c{number}", "1", "state") for number in range(channels)),
        parameters=(),
        boundary="periodic",
        domain=((0.0, 1.0),) * len(shape),
        shape=shape,
        dt=0.5,
        frames=3,
        history=1,
        invariants=(),
        symmetries=(),
        equation="",
        points=tuple((0.5 / points, 1 - 0.5 / points) for points in shape),
    )
