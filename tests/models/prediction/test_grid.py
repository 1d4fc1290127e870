"""Grids of a prediction: coordinates that round-trip, other grids of the same domain, and refused ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_models import FLOW, WAVE, saved
from ups_core import UsageError
from ups_data.info import TaskInfo
from ups_models.bundle import load_bundle
from ups_models.prediction.grid import grid_of

UNEVEN = replace(WAVE, boundary="open", domain=((0.0, 1.0),), shape=(5,), points=((0.0, 0.1, 0.3, 0.6, 1.0),))


def test_a_saved_model_keeps_its_grid_points(tmp_path: Path) -> None:
    for number, task in enumerate((WAVE, FLOW)):
        sim = load_bundle(saved(tmp_path / str(number), task))
        assert sim.tasks[task.name] == task
        assert sim.tasks[task.name].axes == task.axes
    assert WAVE.axes[0][0] == -8.0
    assert WAVE.axes[0][-1] == 7.5  # the end is left out
    assert TaskInfo.from_dict(json.loads(json.dumps(UNEVEN.to_dict()))) == UNEVEN


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((-8.0, 7.5), [-8, -4, 0, 4]),  # without the end: the end is left out of other grids too
        ((-8.0, 8.0), [-8, -8 / 3, 8 / 3, 8]),  # both ends
        ((-7.75, 7.75), [-6, -2, 2, 6]),  # centres of cells
    ],
)
def test_other_grids_lie_in_the_domain_as_the_training_grid_does(
    points: tuple[float, float], expected: list[float]
) -> None:
    task = replace(WAVE, points=(points,))
    assert np.allclose(grid_of(task, (4,)).points[0], expected)
    assert grid_of(task, (4,)).notes[0].startswith("task 'wave': the grid 4 has 8 times the spacing")
    assert grid_of(task, (32,)).notes == ()
    assert np.allclose(grid_of(task, (32,)).points[0], task.axes[0])


@given(
    cells=st.integers(2, 50),
    others=st.integers(2, 50),
    kind=st.sampled_from([(0.5, 0.5), (0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]),
)
def test_the_coordinates_of_another_grid_are_accepted_as_its_own(
    cells: int, others: int, kind: tuple[float, float]
) -> None:
    before, after = kind
    spacing = 3.0 / (cells - 1 + before + after)
    ends = (2 + before * spacing, 5 - after * spacing)
    boundary = "periodic" if before + after == 1 else "open"
    task = replace(WAVE, boundary=boundary, domain=((2.0, 5.0),), shape=(cells,), points=(ends,))
    line = grid_of(task, (others,)).points[0]
    assert len(line) == others
    assert np.allclose(np.diff(line), line[1] - line[0])
    assert np.array_equal(
        grid_of(task, (others,), {0: line.astype(np.float32)}).points[0], line.astype(np.float32)
    )


def test_coordinates_within_rounding_are_the_training_grid() -> None:
    line = np.asarray(WAVE.axes[0]) + 1e-4
    assert grid_of(WAVE, (32,), {0: line}).notes == ()


def test_a_shifted_grid_of_as_many_points_is_said() -> None:
    line = np.asarray(WAVE.axes[0]) + 0.25
    assert grid_of(WAVE, (32,), {0: line}).notes == (
        "task 'wave': the points along x differ by 0.5 spacings from the training grid",
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            np.linspace(-1, 1, 32),
            "from -1 to 1 do not cover the model's domain; the model was trained on 32 poin",
        ),
        (np.linspace(-8, 9, 32), "from -8 to 9 do not cover the model's domain"),
        (np.linspace(-8, 8, 32), "from -8 to 8 cover 16.5161 of a periodic domain of 16"),
        (np.linspace(-8, 7.5, 32) ** 3, "from -512 to 421.875 are not its grid or not evenly spaced"),
        (np.linspace(7.5, -8, 32), "that do not increase or are not finite"),
        (np.full(32, np.nan), "that do not increase or are not finite"),
    ],
    ids=str,
)
def test_coordinates_of_another_domain_are_refused(line: np.ndarray, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        grid_of(WAVE, (32,), {0: line}, "file.npz")
    assert str(caught.value).startswith(f"file.npz: 32 coordinates along x {problem}")


def test_an_uneven_grid_is_the_only_one() -> None:
    assert np.array_equal(grid_of(UNEVEN, (5,)).points[0], UNEVEN.axes[0])
    assert grid_of(UNEVEN, (5,), {0: UNEVEN.axes[0]}).notes == ()
    with pytest.raises(
        UsageError, match="have 6 points along x, but the model was trained on 5 that are not even"
    ):
        grid_of(UNEVEN, (6,))
    with pytest.raises(UsageError, match="are not its grid or not evenly spaced"):
        grid_of(UNEVEN, (5,), {0: np.linspace(0, 1, 5)})
