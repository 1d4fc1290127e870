"""Predictions from a user's own fields: checks them, makes the batch, gives numpy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ups_core import UsageError
from ups_core.cli.output import counted
from ups_data.batches.batch import FieldBatch
from ups_models.device import device_of
from ups_models.prediction.conditions import Conditions, conditions_of
from ups_models.prediction.expects import Expects, choose_task
from ups_models.prediction.fields import Array, fields_of, finite, labelled_grid
from ups_models.prediction.grid import Grid, grid_of

if TYPE_CHECKING:
    from ups_models.simulator import Simulator


@dataclass(frozen=True)
class Inputs:
    """Checked fields of B inputs.

    Attributes:
        state: given frames `(B, H, C, *S)`; H is 0 when steady.
        static: coefficients `(B, Cs, *S)`.
        forcing: `(B, H + steps, Cf, *S)`; None for a task without any.
        conditions: parameters and time step of these inputs.
        grid: the points of all of them.
        first: number of the first one; random numbers of members depend on it.
    """

    state: Array
    static: Array
    forcing: Array | None
    conditions: Conditions
    grid: Grid
    first: int = 0


def predict(
    simulator: Simulator,
    u0: Any,
    params: Mapping[str, Any] | None = None,
    steps: int | None = None,
    *,
    task: str | None = None,
    static: Any = None,
    forcing: Any = None,
    grid: Sequence[ArrayLike] | None = None,
    dt: float | None = None,
    members: int | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Predict from a user's own fields, in physical units; nothing has to be normalised or described.

    A warning says which inputs training did not have: parameters outside their range, another grid.

    Args:
        simulator: the trained model.
        u0: the initial state, or the coefficient of a steady task: a numpy array, a tensor or an xarray
            `DataArray`, `(C, *S)` for one input, `(B, C, *S)` for a batch; `(*S)` will do for one input of
            one channel. A model with a history of H > 1 frames takes `(H, C, *S)` or `(B, H, C, *S)`. A
            mapping or `Dataset` has the arrays of channels by their names, without C.
        params: PDE parameters by name: a number, or one for each input. One that training never varied may be
            left out.
        steps: frames to predict; only a steady task needs none.
        task: which of the model's tasks; may be left out where it has one.
        static: coefficient fields of an evolution, shaped as `u0` without history.
        forcing: fields that are given at every frame, `(H + steps, Cf, *S)`, or a batch of such.
        grid: coordinates of the points along every axis; default: those of a labelled array, or of training,
            or for another number of points the same domain cut likewise.
        dt: time between frames; another one than that of training only if training had several.
        members: M members of an ensemble of a stochastic model; None for its prediction without noise.
        seed: of the members.

    Returns:
        `(B, steps, C, *S)`, without the given frames; with members `(B, M, steps, C, *S)`. A steady task has
        no axis of steps; one input without a batch axis gives an array without it.

    Raises:
        UsageError: an input is not what the model expects; one line that says what it is.
    """
    expects = expects_of_simulator(simulator, task)
    steps = check_run(expects, steps, members)
    info = expects.task
    steady = info.kind == "steady"
    first = fields_of("u0", u0, expects.given, info.history or 1, expects)
    finite("u0", first.values, [channel.name for channel in expects.given], 0, expects)
    count, shape = len(first.values), first.values.shape[3:]
    beside = _beside("static", static, expects.beside, 1, count, shape, expects)
    forced = _beside("forcing", forcing, info.forcing_channels, info.history + steps, count, shape, expects)
    empty = np.empty((count, 0, *shape), dtype=np.float32)
    conditions = conditions_of(expects, params or {}, dt, count)
    points = grid_of(info, shape, labelled_grid(u0, info.dim) if grid is None else dict(enumerate(grid)))
    inputs = Inputs(
        state=np.empty((count, 0, len(info.target_channels), *shape), dtype=np.float32)
        if steady
        else first.values,
        static=first.values[:, 0] if steady else empty if beside is None else beside[:, 0],
        forcing=forced,
        conditions=conditions,
        grid=points,
    )
    for note in (*conditions.notes, *points.notes):
        warnings.warn(note, stacklevel=3)
    frames = [frame.cpu() for frame in frames_of(simulator, info.name, inputs, steps, members, seed)]
    values = torch.stack(frames, dim=2).numpy()  # (B, M, steps, C, *S)
    if bad := int((~np.isfinite(values).reshape(count, -1).all(axis=1)).sum()):
        warnings.warn(diverged_text(bad, count), stacklevel=3)
    values = values[:, :, 0] if steady else values
    values = values if members is not None else values[:, 0]
    return values[0] if first.single else values


def expects_of_simulator(simulator: Simulator, task: str | None) -> Expects:
    """What a simulator expects of one of its tasks, which may be left out where it has one."""
    name = choose_task(list(simulator.tasks), task, "task=")
    if not simulator.supports(simulator.tasks[name]):
        raise UsageError(
            f"this model makes no predictions for the {simulator.tasks[name].kind} task '{name}'"
        )
    return Expects(simulator.tasks[name], simulator.statistics[name], simulator.stochastic)


def check_run(expects: Expects, steps: int | None, members: int | None) -> int:
    """The number of frames to predict, once steps and members are checked.

    Raises:
        UsageError: steps are missing or not positive, or a deterministic model is asked for members.
    """
    if expects.task.kind == "steady":
        if steps not in (None, 1):
            raise UsageError(f"task '{expects.task.name}' is steady and has no steps; leave steps out")
        steps = 1
    if steps is None or steps < 1:
        what = "steps is missing" if steps is None else f"steps is {steps}"
        raise UsageError(f"{what}; give the number of frames to predict, 1 or more; {expects.line}")
    if members is not None and members < 1:
        raise UsageError(f"members is {members}; use 1 or more")
    if members is not None and not expects.stochastic:
        raise UsageError(
            f"members is {members}, but the model is deterministic and has one prediction; leave members out"
        )
    return steps


def frames_of(
    simulator: Simulator, task: str, inputs: Inputs, steps: int, members: int | None, seed: int
) -> Iterator[Tensor]:
    """Frames `(B, M, C, *S)` one by one, on the simulator's device; M is 1 without members.

    Raises:
        UsageError: the model cannot run on this grid.
    """
    batch = batch_of(task, inputs).to(device_of(simulator))
    info, shape = simulator.tasks[task], inputs.grid.shape
    simulator.reported.add((task, shape))  # the grid's own notes say it
    if members is None:
        frames: Iterator[Tensor] = (frame[None] for frame in simulator.frames(batch, steps))
    else:
        frames = simulator.member_frames(batch, steps, members, seed)
    for _ in range(steps):
        try:
            with torch.inference_mode():  # around each frame: between them other code runs
                frame = next(frames)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if shape == info.shape:
                raise
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"the model cannot run on a grid of {'x'.join(map(str, shape))} points ({reason}); it was "
                f"trained on {'x'.join(map(str, info.shape))}"
            ) from None
        yield frame.transpose(0, 1)


def diverged_text(bad: int, count: int) -> str:
    """A warning for predictions with NaN or infinity."""
    return f"the predictions of {bad} of {counted(count, 'input')} diverge: they contain NaN or infinity"


def batch_of(task: str, inputs: Inputs) -> FieldBatch:
    """Checked inputs as a batch without targets."""
    count, conditions = len(inputs.static), inputs.conditions
    return FieldBatch(
        task=task,
        state=torch.from_numpy(inputs.state),
        static=torch.from_numpy(inputs.static),
        params=torch.from_numpy(conditions.params),
        params_mask=torch.from_numpy(conditions.known).expand(count, -1),
        dt=torch.full((count,), conditions.dt),
        coords=torch.tensor(list(product(*inputs.grid.points)), dtype=torch.float32),
        target=torch.from_numpy(inputs.state[:, :0]),
        index=torch.arange(inputs.first, inputs.first + count),
        forcing=None if inputs.forcing is None else torch.from_numpy(inputs.forcing),
    )


def _beside(
    what: str,
    given: Any,
    channels: Sequence[Any],
    frames: int,
    count: int,
    shape: tuple[int, ...],
    expects: Expects,
) -> Array | None:
    """Given fields beside the state, `(B, frames, C, *S)`; those of one input serve a batch."""
    if not channels:
        if given is not None:
            raise UsageError(f"{what} is given, but the model takes none; {expects.line}")
        return None
    if given is None:
        raise UsageError(f"{what} is missing; {expects.line}")
    found = fields_of(what, given, channels, frames, expects)
    finite(what, found.values, [channel.name for channel in channels], 0, expects)
    if found.values.shape[3:] != shape or len(found.values) not in (1, count):
        raise UsageError(
            f"{what} has {len(found.values)} inputs on {found.values.shape[3:]} points, but u0 has {count} "
            f"on {shape}"
        )
    return np.array(np.broadcast_to(found.values, (count, *found.values.shape[1:])))
