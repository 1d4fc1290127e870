"""A user's fields, as numpy arrays, tensors or labelled arrays, on the axes that a batch has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ups_core import UsageError
from ups_core.mistakes import did_you_mean
from ups_data.info import Channel
from ups_data.stores.array_options import LETTERS, SPACE
from ups_data.stores.file_store import MAX_VALUE
from ups_models.prediction.expects import Expects

Array = NDArray[np.float32]


class Given(NamedTuple):
    """Fields on complete axes.

    Attributes:
        values: `(B, H, C, *S)`; H is 1 where there is no time.
        single: whether the user gave one state, without a batch axis.
    """

    values: Array
    single: bool


def fields_of(what: str, given: Any, channels: Sequence[Channel], frames: int, expects: Expects) -> Given:
    """Check fields and give them all their axes.

    Args:
        what: names them in messages, such as `u0`.
        given: a numpy array, a tensor or a labelled array `(C, *S)`, with `frames` above 1 `(H, C, *S)`; a
            batch has one axis before these, and C may be left out where it is 1 and there is no batch axis.
            Or a mapping from the name of each channel to such an array without C, as a labelled data set is.
        channels: C channels in the order of the model.
        frames: H.
        expects: what the model was trained on.

    Raises:
        UsageError: names, shape, type or values are not what the model expects.
    """
    dim = expects.task.dim
    if isinstance(given, Mapping):
        return _stacked(what, given, channels, frames, expects)
    values = _array(what, given, dim, expects)
    count = len(channels)
    history = (frames,) if frames > 1 else ()
    lead = values.shape[: values.ndim - dim]
    if values.ndim >= dim and lead == history and count == 1:
        values, lead = np.expand_dims(values, len(history)), (*lead, 1)
    if frames == 1 and len(lead) == 3 and lead[1:] == (1, count):  # (B, 1, C, *S)
        values, lead = values[:, 0], (lead[0], count)
    wanted = (*history, count)
    if values.ndim < dim or lead not in (wanted, (*lead[:1], *wanted)) or 0 in values.shape:
        raise UsageError(
            f"{what} has shape {tuple(np.shape(given))}; expected {_shape(wanted, dim)} for one input or "
            f"{_shape(('B', *wanted), dim)} for a batch; {expects.line}"
        )
    single = lead == wanted
    values = values[None] if single else values
    return Given(values if history else values[:, None], single)


def finite(what: str, values: Array, names: Sequence[str], first: int, expects: Expects) -> None:
    """Raise :class:`UsageError` for NaN, infinity and absurd numbers in fields `(B, H, C, *S)`.

    Args:
        first: number of the first trajectory, for the message.
    """
    if not values.size or -MAX_VALUE < values.min() <= values.max() < MAX_VALUE:  # false for NaN too
        return
    place = np.argwhere(~(np.abs(values) < MAX_VALUE))[0]
    value = values[tuple(place)]
    found = f"the value {value:g}" if np.isfinite(value) else "NaN or infinity"
    where = f"{what}: '{names[place[2]]}' contains {found} in input {first + place[0]}"
    raise UsageError(f"{where}; {expects.line}, all finite")


def labelled_grid(given: Any, dim: int) -> dict[int, NDArray[Any]]:
    """Number of an axis of space -> its coordinates, as far as a labelled array has them."""
    found = getattr(given, "coords", {})
    lines = {axis: np.asarray(found[name]) for axis, name in enumerate(SPACE[:dim]) if name in found}
    return {axis: line for axis, line in lines.items() if line.ndim == 1}


def _stacked(
    what: str, given: Mapping[Any, Any], channels: Sequence[Channel], frames: int, expects: Expects
) -> Given:
    """Channels from a mapping of their names."""
    names = [channel.name for channel in channels]
    unknown = next((str(name) for name in given if name not in names), None)
    missing = next((name for name in names if name not in given), None)
    if unknown is not None:
        raise UsageError(
            f"{what} has an unknown channel '{unknown}'{did_you_mean(unknown, names)}; {expects.line}"
        )
    if missing is not None:
        raise UsageError(f"{what} has no channel '{missing}'; {expects.line}")
    parts = []
    for channel in channels:
        values = _array(f"{what}['{channel.name}']", given[channel.name], expects.task.dim, expects)
        # A channel axis of 1 in its place makes each of them an array of one channel.
        parts.append(np.expand_dims(values, values.ndim - expects.task.dim))
    if len({part.shape for part in parts}) > 1:
        shapes = ", ".join(f"{name} {np.shape(given[name])}" for name in names)
        raise UsageError(f"{what} has channels of different shapes: {shapes}")
    joined = np.concatenate(parts, axis=parts[0].ndim - expects.task.dim - 1)
    return fields_of(what, joined, channels, frames, expects)


def _array(what: str, given: Any, dim: int, expects: Expects) -> Array:
    """Real numbers as float32; labelled arrays with their axes in canonical order."""
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu().float() if given.dtype is torch.bfloat16 else given.detach().cpu()
    labels = getattr(given, "dims", None)
    try:
        values = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} is not an array ({error}); {expects.line}") from None
    if values.dtype.kind not in "biuf":
        kind = "complex" if values.dtype.kind == "c" else f"of type {values.dtype}"
        raise UsageError(f"{what} is {kind}; the model takes real numbers; {expects.line}")
    if isinstance(labels, tuple) and all(isinstance(label, str) for label in labels):
        values = _ordered(what, values, labels, dim)
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinity, which is refused
        return values.astype(np.float32)


def _ordered(what: str, values: NDArray[Any], labels: Sequence[str], dim: int) -> NDArray[Any]:
    """A labelled array with its axes in the order trajectory, time, channel, x, y, z, as far as known."""
    order = ("trajectory", "time", "channel", *SPACE)
    axes = [LETTERS.get(label, label) for label in labels]
    known = [axis for axis in axes if axis in order]
    if not set(SPACE[:dim]) <= set(known):
        return values
    lead = [place for place, axis in enumerate(axes) if axis not in order]  # any other name is the batch's
    if len(lead) > 1 or (lead and "trajectory" in known) or len(set(known)) < len(known):
        raise UsageError(
            f"{what} has the axes {', '.join(labels)}; use trajectory, time, channel and "
            f"{', '.join(SPACE[:dim])}"
        )
    places = lead + [axes.index(axis) for axis in order if axis in axes]
    return values.transpose(places)


def _shape(lead: Sequence[object], dim: int) -> str:
    return f"({', '.join(map(str, (*lead, *SPACE[:dim])))})"
