"""Small models with weights that are not zero, for predictions from own fields."""

from __future__ import annotations

from pathlib import Path

from toy_models import component, perturbed
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_data.prepare.statistics import ChannelStatistics, Statistics
from ups_models.bundle import save_bundle
from ups_models.simulator import Simulator, build_simulator

WAVE = TaskInfo(
    name="wave",
    family="toy",
    kind="evolution",
    channels=(Channel("u", "m", "state"),),
    parameters=(Parameter("beta", "m/s", 0.1, 0.4),),
    boundary="periodic",
    domain=((-8.0, 8.0),),
    shape=(32,),
    dt=0.1,
    frames=8,
    history=1,
    invariants=(),
    equation="u_t + beta u_x = 0",
    points=((-8.0, 7.5),),
)
"""One channel on [-8, 8) without the end, one parameter."""
PAIR = TaskInfo(
    name="pair",
    family="toy",
    kind="evolution",
    channels=(
        Channel("u", "1", "state"),
        Channel("v", "1", "state"),
        Channel("mask", "1", "coefficient"),
        Channel("push", "1", "forcing"),
    ),
    parameters=(),
    boundary="periodic",
    domain=((0.0, 1.0), (0.0, 1.0)),
    shape=(16, 12),
    dt=0.5,
    frames=8,
    history=2,
    invariants=(),
    equation="unknown",
)
"""Two channels with two given frames, a mask and a forcing, in 2-D."""
FLOW = TaskInfo(
    name="flow",
    family="toy",
    kind="steady",
    channels=(Channel("a", "1", "coefficient"), Channel("y", "1", "target")),
    parameters=(),
    boundary="dirichlet",
    domain=((0.0, 1.0), (0.0, 1.0)),
    shape=(12, 12),
    dt=0.0,
    frames=1,
    history=0,
    invariants=(),
    equation="-div(a grad y) = 1",
)
"""A steady task, of which the solution is called like an axis."""


def statistics_of(task: TaskInfo, dt: tuple[float, float] | None = None) -> Statistics:
    """Statistics that are neither 0 nor 1, with the ranges of the task's parameters as conditions."""

    def channels(count: int) -> ChannelStatistics:
        return ChannelStatistics((0.5,) * count, (2.0,) * count)

    count = len(task.target_channels)
    return Statistics(
        state=channels(len(task.state_channels)),
        static=channels(len(task.static_channels)),
        forcing=channels(len(task.forcing_channels)),
        target=channels(count),
        delta=(0.1,) * len(task.state_channels),
        conditions=Conditions(
            tuple((item.low, item.high) for item in task.parameters),
            (False,) * len(task.parameters),
            dt or (task.dt, task.dt),
            augmented=False,
        ),
    )


def model_of(*tasks: TaskInfo, kind: str = "unet", dt: tuple[float, float] | None = None) -> Simulator:
    """A small simulator of these tasks."""
    made = build_simulator(
        component(kind),
        {task.name: task for task in tasks},
        {task.name: statistics_of(task, dt) for task in tasks},
    )
    return perturbed(made).eval()


def saved(
    directory: Path, *tasks: TaskInfo, kind: str = "unet", dt: tuple[float, float] | None = None
) -> Path:
    """The directory of a saved model."""
    save_bundle(directory, model_of(*tasks, kind=kind, dt=dt), component(kind), "f" * 64)
    return directory
