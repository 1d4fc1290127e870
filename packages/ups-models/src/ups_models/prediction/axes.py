"""Which axis of an array is which, given the model that the array is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from ups_core import UsageError
from ups_data.stores.array_options import SPACE

LEAD = ("trajectory", "time", "channel")
Axes = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What an array should hold.

    Attributes:
        dim: axes of space.
        shape: the training grid; it decides between orders that the array allows.
        entries: channels in the array; above 1 it needs an axis of channels.
        frames: frames that the model takes from it; above 1 it needs an axis of time.
        timed: whether it may have an axis of time.
    """

    dim: int
    shape: tuple[int, ...]
    entries: int
    frames: int
    timed: bool


def axes_of(
    name: str, shape: tuple[int, ...], wanted: Wanted, lines: Mapping[str, int], given: Sequence[str] | None
) -> Axes:
    """Names of the axes of an array: `trajectory`, `time`, `channel`, `x`, `y`, `z`.

    Args:
        name: of the array, for messages.
        shape: its axes.
        wanted: what it should hold.
        lines: axis -> how many coordinates the file has for it.
        given: the user's names of the axes of the fields; an array may lack some that are not space.

    Raises:
        UsageError: no order fits, or several do.
    """
    space = SPACE[: wanted.dim]
    if given is not None:
        missing = next((axis for axis in space if axis not in given), None)
        extra = next((axis for axis in given if axis in SPACE and axis not in space), None)
        if missing or extra:
            raise UsageError(
                f"--axes names {', '.join(given)}, but the model has the axes {', '.join(space)} of space"
            )
    fitting = sorted(
        (_score(axes, shape, wanted, lines), axes)
        for axes in set(_candidates(len(shape), wanted, given, lines))
        if _fits(axes, shape, wanted, lines)
    )
    if not fitting:
        held = f"{wanted.entries} channels, " if wanted.entries > 1 else ""
        axes = f"{wanted.dim} {'axis' if wanted.dim == 1 else 'axes'} of space"
        more = f", of {wanted.frames} frames or more" if wanted.frames > 1 else ""
        raise UsageError(
            f"'{name}' has shape {shape}, which does not fit {held}{axes} with "
            f"{'x'.join(map(str, wanted.shape))} points{more}; name its axes with --axes, such as "
            f"--axes nt{''.join(space)}"
        )
    best = [axes for score, axes in fitting if score == fitting[0][0]]
    if len(best) > 1:
        ways = " or ".join(f"--axes {letters(axes)}" for axes in best[:3])
        raise UsageError(
            f"'{name}' has shape {shape}, in which axes are alike; say which is which with {ways}"
        )
    return best[0]


def letters(axes: Sequence[str]) -> str:
    """Axes as users write them in short: `ntcx`."""
    return "".join({"trajectory": "n", "time": "t", "channel": "c"}.get(axis, axis) for axis in axes)


def _candidates(
    rank: int, wanted: Wanted, given: Sequence[str] | None, lines: Mapping[str, int]
) -> Iterator[Axes]:
    """Orders of axes that an array of this rank may have."""
    space = SPACE[: wanted.dim]
    extra = rank - wanted.dim
    if extra < 0:
        return
    for chosen in combinations(LEAD, extra) if extra <= len(LEAD) else ():
        if given is not None:
            if set(chosen) <= set(given):
                yield tuple(axis for axis in given if axis in chosen or axis in space)
            continue
        yield (*chosen, *space)
        if "channel" in chosen:
            yield (*(axis for axis in chosen if axis != "channel"), *space, "channel")
        if "time" in chosen and "time" in lines:  # a coordinate tells it wherever it is
            head = ("trajectory",) if "trajectory" in chosen else ()
            rest = [axis for axis in (*chosen, *space) if axis != "trajectory"]
            for order in permutations(rest):
                if [axis for axis in order if axis in space] == list(space):
                    yield (*head, *order)


def _fits(axes: Axes, shape: tuple[int, ...], wanted: Wanted, lines: Mapping[str, int]) -> bool:
    sizes = dict(zip(axes, shape, strict=True))
    if ("channel" not in sizes and wanted.entries > 1) or sizes.get(
        "channel", wanted.entries
    ) != wanted.entries:
        return False
    if "time" in sizes:
        if not wanted.timed or sizes["time"] < wanted.frames:
            return False
        # The times of some files have one more number, the end of the last step.
        if "time" in lines and lines["time"] not in (sizes["time"], sizes["time"] + 1):
            return False
    elif wanted.frames > 1:
        return False
    return all(lines.get(axis, sizes[axis]) == sizes[axis] for axis in SPACE[: wanted.dim])


def _score(axes: Axes, shape: tuple[int, ...], wanted: Wanted, lines: Mapping[str, int]) -> tuple[int, ...]:
    """How much speaks against an order; orders that share the smallest score are alike."""
    sizes = dict(zip(axes, shape, strict=True))
    return (
        int(wanted.timed and ("time" in lines) != ("time" in axes)),
        sum(sizes[axis] != cells for axis, cells in zip(SPACE, wanted.shape, strict=False)),
        int("channel" in axes and wanted.entries == 1),
    )
