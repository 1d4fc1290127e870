"""Predicts for all inputs of a command and writes them piece by piece, so that memory does not grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ups_core.console import Console
from ups_data.info import TaskInfo
from ups_data.stores.array_contents import Contents, Variable
from ups_data.stores.array_formats import Write
from ups_data.stores.array_options import SPACE
from ups_data.stores.array_writer import writing_arrays
from ups_models.prediction.predict import frames_of
from ups_models.prediction.sources import Source
from ups_models.simulator import Simulator

BATCH_POINTS = 2**18
"""Grid points of all inputs and members of a batch by default; activations take some hundred bytes each."""
MAX_INPUTS = 256
"""Inputs of a batch by default, where grids are small."""
BLOCK_BYTES = 32 * 1024**2
"""Size of the predicted frames that are kept until they are written."""


@dataclass(frozen=True)
class Run:
    """What a prediction computes.

    Attributes:
        task: name of the task.
        steps: frames to predict.
        members: of an ensemble; None for one prediction.
        seed: of the members.
        batch_size: inputs that are predicted together; None for a number that suits the grid.
    """

    task: str
    steps: int
    members: int | None = None
    seed: int = 0
    batch_size: int | None = None

    def inputs_at_once(self, source: Source) -> int:
        """Inputs of a batch."""
        points = math.prod(source.grid.shape) * (self.members or 1)
        size = self.batch_size or max(1, min(MAX_INPUTS, BATCH_POINTS // points))
        return min(size, source.count)


def predict_to_file(
    simulator: Simulator, source: Source, run: Run, out: Path, attributes: Mapping[str, str], console: Console
) -> tuple[Contents, int]:
    """Predict for all inputs; returns what was written, and for how many inputs it is not all finite.

    Args:
        simulator: the model, on the device that it shall run on.
        source: the inputs.
        run: how many frames and members.
        out: a new file.
        attributes: of the file.
        console: shows the progress.

    Raises:
        UPSError: an input cannot be read or contains NaN; the model cannot run on the grid; the file cannot
            be written. Nothing is left then.
    """
    info, size = simulator.tasks[run.task], run.inputs_at_once(source)
    frame = 4 * math.prod(source.grid.shape) * len(info.target_channels) * size * (run.members or 1)
    frames = max(1, min(run.steps, BLOCK_BYTES // frame))
    contents = _contents(info, source, run, attributes, size, frames)
    names = [channel.name for channel in info.target_channels]
    with (
        writing_arrays(out, contents) as write,
        console.progress("predicted frames", source.count * run.steps) as advance,
    ):
        start = diverged = 0
        while start < source.count:
            inputs = source.piece(start, size)
            kept: list[Any] = []
            sound = np.ones(len(inputs.static), dtype=bool)
            for number, found in enumerate(
                frames_of(simulator, run.task, inputs, run.steps, run.members, run.seed), start=1
            ):
                kept.append(found.cpu().numpy())
                sound &= np.isfinite(kept[-1]).reshape(len(sound), -1).all(axis=1)
                advance(len(inputs.static))
                if len(kept) == frames or number == run.steps:
                    _write(write, names, kept, (start, number - len(kept)), run, info)
                    kept.clear()
            start += len(inputs.static)
            diverged += int((~sound).sum())
    return contents, diverged


def _write(
    write: Write, names: Sequence[str], kept: Sequence[Any], at: tuple[int, int], run: Run, info: TaskInfo
) -> None:
    """Write frames `(B, M, C, *S)` that begin at an input and a frame."""
    block = np.stack(kept, axis=2)  # (B, M, T, C, *S)
    start: list[int] = [at[0], 0, at[1]]
    if info.kind == "steady":
        block, start = block[:, :, 0], start[:2]
    if run.members is None:
        block = block[:, 0]
        del start[1]
    lead = block.ndim - 1 - info.dim
    for channel, name in enumerate(names):
        write(name, (*start, *(0,) * info.dim), np.take(block, channel, axis=lead))


def _contents(
    info: TaskInfo, source: Source, run: Run, attributes: Mapping[str, str], size: int, frames: int
) -> Contents:
    """Arrays and axes of the file: a field for every channel, coordinates, parameters."""
    taken = {item.name for item in info.target_channels} | {item.name for item in info.parameters}

    def axis(name: str) -> str:
        return f"{name}_coord" if name in taken else name  # such as Darcy's y, a function of x and y

    space = [axis(name) for name in SPACE[: info.dim]]
    sizes = {"trajectory": source.count}
    if run.members is not None:
        sizes["member"] = run.members
    variables = []
    if info.kind == "evolution":
        time = axis("t")
        sizes[time] = run.steps
        times = source.start + source.conditions.dt * np.arange(1, run.steps + 1, dtype=np.float64)
        variables.append(Variable(time, (time,), times, {"long_name": "time", "axis": "T"}))
    sizes |= dict(zip(space, source.grid.shape, strict=True))
    for letter, name, points in zip("XYZ", space, source.grid.points, strict=False):
        variables.append(Variable(name, (name,), points, {"axis": letter}))
    for place, parameter in enumerate(info.parameters):
        values = source.conditions.params[:, place].astype(np.float64)
        variables.append(Variable(parameter.name, ("trajectory",), values, {"units": parameter.unit}))
    predicted = [
        Variable(channel.name, tuple(sizes), None, {"units": channel.unit})
        for channel in info.target_channels
    ]
    block = {"trajectory": size} | ({axis("t"): frames} if info.kind == "evolution" else {})
    return Contents(sizes, (*predicted, *variables), attributes, block)
