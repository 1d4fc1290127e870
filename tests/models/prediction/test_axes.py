"""Which axis of an array is which, given a model: hypothesis against orders that users have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ups_core import UsageError
from ups_models.prediction.axes import Wanted, axes_of, letters


def named(
    shape: tuple[int, ...],
    lines: Mapping[str, int] | None = None,
    given: Sequence[str] | None = None,
    grid: tuple[int, ...] = (64,),
    entries: int = 1,
    frames: int = 1,
    timed: bool = True,
) -> str:
    return letters(axes_of("u", shape, Wanted(len(grid), grid, entries, frames, timed), lines or {}, given))


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((64,), {}, "x"),
        ((128,), {}, "x"),
        ((10, 64), {}, "nx"),
        ((64, 64), {}, "nx"),
        ((10, 5, 64), {}, "ntx"),
        ((10, 1, 64), {"timed": False}, "ncx"),
        ((10, 64), {"lines": {"time": 10}}, "tx"),
        ((64, 10), {"lines": {"time": 10, "x": 64}}, "xt"),
        ((7, 64, 10), {"lines": {"time": 10, "x": 64}}, "nxt"),
        ((10, 64), {"lines": {"time": 11}}, "tx"),
        ((2, 64), {"entries": 2}, "cx"),
        ((64, 2), {"entries": 2}, "xc"),
        ((10, 2, 64), {"entries": 2}, "ncx"),
        ((10, 64, 2), {"entries": 2}, "nxc"),
        ((10, 4, 2, 64), {"entries": 2}, "ntcx"),
        ((10, 4, 64, 2), {"entries": 2}, "ntxc"),
        ((3, 64), {"frames": 2}, "tx"),
        ((10, 3, 64), {"frames": 2}, "ntx"),
        ((16, 12), {"grid": (16, 12)}, "xy"),
        ((5, 16, 12), {"grid": (16, 12)}, "nxy"),
        ((16, 12, 3), {"grid": (16, 12), "entries": 3}, "xyc"),
        ((5, 16, 12), {"grid": (16, 12), "timed": False}, "nxy"),
        ((64, 10), {"given": ("x", "trajectory")}, "xn"),
        ((64, 10), {"given": ("x", "time", "trajectory")}, "xn"),
        ((64, 64), {"lines": {"x": 64, "time": 64}, "given": ("x", "time")}, "xt"),
    ],
    ids=str,
)
def test_axes_are_told(shape: tuple[int, ...], options: dict[str, object], expected: str) -> None:
    assert named(shape, **options) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "options", "problem"),
    [
        (
            (64, 64),
            {"lines": {"x": 64, "time": 64}},
            "axes are alike; say which is which with --axes tx or --axes xt",
        ),
        (
            (2, 2),
            {"entries": 2, "grid": (2,)},
            "axes are alike; say which is which with --axes cx or --axes xc",
        ),
        (
            (10, 64),
            {"grid": (16, 12, 9)},
            "does not fit 3 axes of space with 16x12x9 points; name its axes with --ax",
        ),
        ((10, 3, 64), {"entries": 2}, "does not fit 2 channels, 1 axis of space with 64 points"),
        ((10, 64), {"frames": 20}, "does not fit 1 axis of space with 64 points, of 20 frames or more"),
        ((1, 2, 3, 4, 64), {}, "does not fit 1 axis of space"),
    ],
    ids=str,
)
def test_what_cannot_be_told_is_refused(
    shape: tuple[int, ...], options: dict[str, object], problem: str
) -> None:
    with pytest.raises(UsageError) as caught:
        named(shape, **options)  # type: ignore[arg-type]
    assert problem in str(caught.value)


def test_axes_of_another_space_are_refused() -> None:
    for given in (("trajectory", "time"), ("x", "y")):
        with pytest.raises(UsageError, match=r"--axes names .*, but the model has the axes x of space"):
            named((64, 64), given=given)
