"""What a trained model expects of a user's fields, in one line, as text and as data; without torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ups_core import UsageError
from ups_core.mistakes import did_you_mean
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_data.stores.array_options import SPACE

INPUTS = 3
"""Inputs of the example."""
STEPS = 10
"""Frames of the example."""


@dataclass(frozen=True)
class Expects:
    """What a model was trained on, of one task.

    Attributes:
        task: the problem.
        statistics: of its train split.
        stochastic: whether the model has an ensemble's members.
    """

    task: TaskInfo
    statistics: Statistics
    stochastic: bool

    @property
    def given(self) -> tuple[Channel, ...]:
        """The fields that a prediction starts from: the state, or the coefficients of a steady task."""
        return self.task.state_channels if self.task.kind == "evolution" else self.task.static_channels

    @property
    def beside(self) -> tuple[Channel, ...]:
        """Given fields beside the state of an evolution."""
        return self.task.static_channels if self.task.kind == "evolution" else ()

    def range_of(self, parameter: Parameter) -> tuple[float, float]:
        """Smallest and largest value in the training data."""
        conditions = self.statistics.conditions
        if conditions is None:
            return parameter.low, parameter.high
        return conditions.parameters[self.task.parameters.index(parameter)]

    def optional(self, parameter: Parameter) -> bool:
        """Whether the parameter may be left out: it never varied, or was unknown in some training samples."""
        low, high = self.range_of(parameter)
        conditions = self.statistics.conditions
        return low == high or (
            conditions is not None and conditions.unknown[self.task.parameters.index(parameter)]
        )

    @property
    def dt(self) -> tuple[float, float]:
        """Smallest and largest time between frames in the training data; 0 when steady."""
        conditions = self.statistics.conditions
        return (self.task.dt, self.task.dt) if conditions is None else conditions.dt

    @property
    def line(self) -> str:
        """All of it in one line, for messages."""
        task = self.task
        grid = "x".join(map(str, task.shape))
        parts = [f"{_names(self.given)} on {grid} points"]
        if task.history > 1:
            parts.append(f"{task.history} frames")
        parts += [f"static {_names(self.beside)}"] if self.beside else []
        parts += [f"forcing {_names(task.forcing_channels)}"] if task.forcing_channels else []
        parts += [self._parameter(parameter) for parameter in task.parameters]
        return f"task '{task.name}' expects {', '.join(parts)}"

    def _parameter(self, parameter: Parameter) -> str:
        low, high = self.range_of(parameter)
        return f"{parameter.name} = {low:g}" if low == high else f"{parameter.name} from {low:g} to {high:g}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        task = self.task
        return {
            "task": task.name,
            "kind": task.kind,
            "equation": task.equation,
            "given": [_channel(item) for item in self.given],
            "static": [_channel(item) for item in self.beside],
            "forcing": [_channel(item) for item in task.forcing_channels],
            "predicted": [_channel(item) for item in task.target_channels],
            "parameters": [
                {
                    "name": item.name,
                    "unit": item.unit,
                    "range": list(self.range_of(item)),
                    "optional": self.optional(item),
                }
                for item in task.parameters
            ],
            "grid": [
                {
                    "axis": name,
                    "points": cells,
                    "first": points[0],
                    "last": points[-1],
                    "domain": list(ends),
                    "boundary": list(sides),
                    "even": even,
                }
                for name, cells, points, ends, sides, even in zip(
                    SPACE, task.shape, task.axes, task.domain, task.sides, task.uniform, strict=False
                )
            ],
            "history": task.history,
            "dt": task.dt,
            "dt_range": list(self.dt),
            "stochastic": self.stochastic,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """The same as rows of two columns."""
        task = self.task
        yield f"task {task.name}", f"{task.kind}: {task.equation}"
        first = f"the first {task.history} frames" if task.history > 1 else "the first frame"
        yield "given", f"{_with_units(self.given)}{'' if task.kind == 'steady' else ', ' + first}"
        for what, channels in (("static", self.beside), ("forcing", task.forcing_channels)):
            if channels:
                more = ", at every given and predicted frame" if what == "forcing" else ""
                yield what, _with_units(channels) + more
        yield "predicted", _with_units(task.target_channels)
        for parameter in task.parameters:
            unit = "" if parameter.unit == "1" else f" {parameter.unit}"
            low, high = self.range_of(parameter)
            text = f"{low:g}{unit} only" if low == high else f"{low:g} to {high:g}{unit}"
            optional = "; may be left out" if self.optional(parameter) else ""
            yield f"parameter {parameter.name}", f"trained on {text}{optional}"
        for name, cells, points, ends, sides in zip(
            SPACE, task.shape, task.axes, task.domain, task.sides, strict=False
        ):
            walls = sides[0] if sides[0] == sides[1] else " and ".join(sides)
            domain = f"domain [{ends[0]:g}, {ends[1]:g}], {walls}"
            yield f"axis {name}", f"{cells} points from {points[0]:.6g} to {points[-1]:.6g}; {domain}"
        if task.kind == "evolution":
            low, high = self.dt
            yield "dt", f"{task.dt:g}" if low == high else f"{low:g} to {high:g}"
        yield "stochastic", "yes: --members M gives an ensemble" if self.stochastic else "no"

    def example(self, model: str, flag: str = "") -> list[str]:
        """Two commands that work: one makes an input, the other predicts from it.

        Args:
            model: how the user named the model.
            flag: option that chooses the task, if the model has several.
        """
        task, steps = self.task, "" if self.task.kind == "steady" else f" --steps {STEPS}"
        history = (task.history,) if task.history > 1 else ()
        shapes = {item.name: (*history, *task.shape) for item in self.given}
        shapes |= {item.name: task.shape for item in self.beside}
        shapes |= {item.name: (task.history + STEPS, *task.shape) for item in task.forcing_channels}
        fields = ", ".join(f"{name}=np.ones({(INPUTS, *shape)})" for name, shape in shapes.items())
        values = "".join(f" --param {item.name}={self.range_of(item)[0]:.6g}" for item in task.parameters)
        return [
            f"python -c \"import numpy as np; np.savez('input.npz', {fields})\"",
            f"ups predict {shlex.quote(model)} input.npz -o predicted.npz{steps}{values}{flag}",
        ]


def choose_task(names: Sequence[str], wanted: str | None, option: str) -> str:
    """The task to predict for; it may be left out where a model has one.

    Args:
        names: tasks of the model.
        wanted: the user's choice.
        option: how users choose, such as `--task`.

    Raises:
        UsageError: the model does not have it, or has several and none was chosen.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        raise UsageError(
            f"the model was trained on {len(names)} tasks; choose one with {option}: {', '.join(names)}"
        )
    if wanted not in names:
        raise UsageError(f"the model has no task '{wanted}'{did_you_mean(wanted, names)}")
    return wanted


def expects_of(config: Mapping[str, Any]) -> dict[str, Expects]:
    """What the model of a bundle's `config.json` expects, for each of its tasks.

    Raises:
        UsageError: the description is damaged.
    """
    stochastic = "sampler" in config or bool(config["options"].get("noise"))
    try:
        return {
            name: Expects(
                TaskInfo.from_dict(task), Statistics.from_dict(config["statistics"][name]), stochastic
            )
            for name, task in config["tasks"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the model's config.json is damaged ({error!r}); save the model again") from None


def _names(channels: Sequence[Channel]) -> str:
    return ", ".join(item.name for item in channels)


def _with_units(channels: Sequence[Channel]) -> str:
    return ", ".join(item.name if item.unit == "1" else f"{item.name} ({item.unit})" for item in channels)


def _channel(item: Channel) -> dict[str, str]:
    return {"name": item.name, "unit": item.unit}
