"""Files of The Well are read as their flags say, become a task, or are refused in one line with the path."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ups_core import UPSError
from ups_data.stores.layout_config import TheWellConfig
from ups_data.stores.well import TheWell, WellFile
from ups_data.stores.well_boundary import BoundaryGroup, sides_of
from well_files import AXES, Bound, Stored, Well, small_well

Array = NDArray[Any]
LAYOUT = TheWell(TheWellConfig())
ALL = slice(0, None)


def kept(item: Stored, dim: int) -> list[tuple[int, ...]]:
    """Components that become channels, in order."""
    every = list(product(range(dim), repeat=item.order))
    if item.symmetric:
        return [(i, j) for i, j in every if i <= j]
    if item.antisymmetric:
        return [(i, j) for i, j in every if i < j]
    return every


def expected(well: Well, time: bool) -> dict[str, Array]:
    """Channel -> `(n, T, *S)`, in the order of a file; T is 1 for given fields."""
    shape = (
        well.trajectories,
        well.times.shape[-1] if time else 1,
        *(p.shape[-1] for p in well.axes.values()),
    )
    found = {}
    for order in range(3):
        for name, item in well.fields.items():
            if item.order != order or item.time != time:
                continue
            for component in kept(item, len(well.axes)):
                suffix = "".join(AXES[axis] for axis in component)
                place: Any = (..., *component)
                values = item.values[place]
                found[f"{name}_{suffix}" if suffix else name] = np.broadcast_to(values, shape)
    return found


@st.composite
def stored(draw: st.DrawFn, n: int, frames: int, points: tuple[int, ...]) -> Stored:
    """A field of any order with any flags in both forms."""
    order, dim = draw(st.integers(0, 2)), len(points)
    sample, time = draw(st.booleans()), draw(st.booleans())
    varying = draw(st.lists(st.booleans(), min_size=dim, max_size=dim))
    kind = draw(st.sampled_from(["", "symmetric", "antisymmetric"])) if order == 2 else ""
    grid = [size if varies else 1 for size, varies in zip(points, varying, strict=True)]
    lead = [n if sample else 1, frames if time else 1]
    values = np.random.default_rng(draw(st.integers(0, 9))).normal(size=(*lead, *grid, *[dim] * order))
    mirror = values.swapaxes(-1, -2) if order == 2 else values
    if kind:
        values = values + mirror if kind == "symmetric" else values - mirror
    return Stored(
        values.astype(draw(st.sampled_from(["f4", "f8"]))),
        order,
        sample,
        time,
        varying,
        dropped=draw(st.booleans()),
        flat=order == 2 and draw(st.booleans()),
        **({kind: True} if kind else {}),
    )


@st.composite
def wells(draw: st.DrawFn) -> Well:
    points = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    n, frames = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    fields = {"u": Stored(np.ones((n, frames, *points), "f4"))}
    for number in range(draw(st.integers(0, 3))):
        fields[f"f{number}"] = draw(stored(n, frames, points))
    times = np.arange(frames) / 4
    return Well(
        n,
        {name: np.linspace(0, 1, size) for name, size in zip(AXES, points, strict=False)},
        np.tile(times, (n, 1)) if draw(st.booleans()) else times,
        fields,
    )


@given(well=wells(), data=st.data())
def test_what_was_written_is_read(
    well: Well, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = LAYOUT.open(well.write(tmp_path_factory.mktemp("well") / "a.hdf5"))
    predicted, static = expected(well, time=True), expected(well, time=False)
    head = file.head
    assert (head.channels, head.static) == (tuple(predicted), tuple(static))
    assert (head.trajectories, head.frames) == (well.trajectories, well.times.shape[-1])
    rows, frames = (
        slice(first, data.draw(st.integers(first + 1, size)))
        for size in (head.trajectories, head.frames)
        for first in [data.draw(st.integers(0, size - 1))]
    )
    found = file.frames(rows, frames)
    assert found.shape == (
        len(range(*rows.indices(99))),
        len(range(*frames.indices(99))),
        len(predicted),
        *head.shape,
    )
    for place, values in enumerate(predicted.values()):
        np.testing.assert_array_equal(found[:, :, place], values[rows, frames])
    given_fields = file.static(rows)
    assert given_fields.shape[1:] == (len(static), *head.shape)
    for place, values in enumerate(static.values()):
        np.testing.assert_array_equal(given_fields[:, place], values[rows, 0])


def test_a_head_says_what_is_in_a_file(tmp_path: Path) -> None:
    well = small_well()
    path = well.write(tmp_path / "a.hdf5")
    head = LAYOUT.open(path).head
    assert head.channels == ("density", "velocity_x", "velocity_y", "stress_xx", "stress_xy", "stress_yy")
    assert head.static == ("medium",)
    assert head.components == {
        "velocity_x": ("velocity", (0,)),
        "velocity_y": ("velocity", (1,)),
        "stress_xx": ("stress", (0, 0)),
        "stress_xy": ("stress", (0, 1)),
        "stress_yy": ("stress", (1, 1)),
    }
    assert head.boundary == (("periodic", "periodic"), ("wall", "wall"))
    assert sorted(head.parameters) == ["gamma", "reynolds"], "a scalar that varies in time is not a parameter"
    np.testing.assert_array_equal(head.parameters["reynolds"], well.scalars["reynolds"])
    assert head.parameters["gamma"].tolist() == [1.5] * 3
    np.testing.assert_allclose(head.axes["x"], np.linspace(0, 1, 8), atol=1e-7)
    assert LAYOUT.recognises(path)
    (tmp_path / "b.hdf5").write_bytes(b"no file")
    assert not LAYOUT.recognises(tmp_path / "b.hdf5")


def test_a_file_can_be_sent_to_another_process(tmp_path: Path) -> None:
    file = LAYOUT.open(small_well().write(tmp_path / "a.hdf5"))
    values = file.frames(ALL, ALL)
    again: WellFile = deepcopy(file)  # by the protocol of pickle, which open files refuse
    np.testing.assert_array_equal(again.frames(ALL, ALL), values)
    assert again.head.channels == file.head.channels


OFF, ON = np.zeros(6, bool), np.ones(6, bool)
LOW, HIGH, MIDDLE = (np.arange(6) == place for place in (0, 5, 3))
EDGE = np.zeros((8, 6), bool)
EDGE[[0, -1]] = EDGE[:, 0] = True
BLOCK = np.zeros((8, 6), bool)
BLOCK[0:3, 2:4] = True
X = Bound("PERIODIC")


@pytest.mark.parametrize(
    ("bounds", "sides"),
    [
        ([X, Bound("WALL", "y")], (("periodic",) * 2, ("wall",) * 2)),
        ([X, Bound("OPEN", "y")], (("periodic",) * 2, ("open",) * 2)),
        ([X, Bound("WALL", "y", OFF)], (("periodic",) * 2, ("open",) * 2)),
        ([X, Bound("Wall", "y", LOW), Bound("open", "y", HIGH)], (("periodic",) * 2, ("wall", "open"))),
        ([X, Bound("WALL", "y", HIGH), Bound("OPEN", "y", OFF)], (("periodic",) * 2, ("open", "wall"))),
        ([X, Bound("WALL", "y", HIGH)], (("periodic",) * 2, ("", "wall"))),
        ([X, Bound("WALL", "y"), Bound("OPEN", "y", LOW)], (("periodic",) * 2, ("", "wall"))),
        ([X, Bound("WALL", "y", MIDDLE)], (("periodic",) * 2, ("", ""))),
        ([X, Bound("WALL", "y", ON)], (("periodic",) * 2, ("wall",) * 2)),
        ([Bound("WALL", "xy", EDGE), Bound("OPEN", "y", HIGH)], (("wall",) * 2, ("wall", "open"))),
        ([X, Bound("OPEN", "y"), Bound("WALL", "xy", BLOCK)], (("periodic",) * 2, ("open",) * 2)),
        ([Bound("WALL", "yx", EDGE.T), Bound("OPEN", "y", HIGH)], (("wall",) * 2, ("wall", "open"))),
        (
            [X, Bound("WALL", "y", np.tile(LOW | HIGH, (3, 5, 1)), True, True)],
            (("periodic",) * 2, ("wall",) * 2),
        ),
    ],
)
def test_masks_become_words_for_both_ends(
    bounds: list[Bound], sides: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    well = replace(small_well(), bounds={f"b{number}": bound for number, bound in enumerate(bounds)})
    assert LAYOUT.open(well.write(tmp_path / "a.hdf5")).head.boundary == sides


@given(kinds=st.lists(st.sampled_from(["periodic", "wall", "open"]), min_size=6, max_size=6))
def test_a_mask_for_each_end_gives_each_its_word(kinds: list[str]) -> None:
    groups = [
        BoundaryGroup(kind, (number // 2,), np.arange(4) == (number % 2) * 3)
        for number, kind in enumerate(kinds)
    ]
    assert sides_of(groups, 3) == tuple(zip(kinds[::2], kinds[1::2], strict=True))


def test_without_boundaries_a_file_says_nothing(tmp_path: Path) -> None:
    path = replace(small_well(), bounds={}).write(tmp_path / "a.hdf5")
    assert LAYOUT.open(path).head.boundary is None
    with h5py.File(path, "r+") as file:
        del file["boundary_conditions"]
    assert LAYOUT.open(path).head.boundary is None


Edit = Callable[[h5py.File], Any]


def attribute(item: str, name: str, value: Any = None) -> Edit:
    def change(file: h5py.File) -> None:
        if value is None:
            del file[item].attrs[name]
        else:
            file[item].attrs[name] = value

    return change


def remove(name: str) -> Edit:
    return lambda file: file.__delitem__(name)


def put(name: str, values: Any) -> Edit:
    """Other values with the same flags."""

    def change(file: h5py.File) -> None:
        flags = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(flags)

    return change


def link(name: str, target: Any) -> Edit:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


DENSITY = "t0_fields/density"
VELOCITY = "t1_fields/velocity"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (attribute("/", "grid_type", "spherical"), "the grid_type is 'spherical'; only cartesian grids are supported"),
        (attribute("/", "grid_type"), "no attribute 'grid_type' of the file; expected a file of The Well"),
        (attribute("/", "n_trajectories"), "no attribute 'n_trajectories' of the file"),
        (attribute("/", "n_trajectories", 0), "has 0 as 'n_trajectories' of the file; expected a number from 1 on"),
        (attribute("/", "n_trajectories", 4), r"'t0_fields/density' has shape \(3, 5, 8, 6\), but its flags .* mean \(4, 5, 8, 6\)"),
        (attribute("/", "n_spatial_dims", 3), r"spatial_dims names 2 axes \(x, y\), but n_spatial_dims is 3"),
        (remove("dimensions"), "no group 'dimensions'"),
        (link("dimensions", np.zeros(3)), "'dimensions' is not a group"),
        (attribute("dimensions", "spatial_dims"), "no attribute 'spatial_dims' of 'dimensions'"),
        (attribute("dimensions", "spatial_dims", [1, 2]), "has 1 as 'spatial_dims' of 'dimensions'; expected text"),
        (attribute("dimensions", "spatial_dims", ["x", "x"]), "spatial_dims names an axis twice: x, x"),
        (lambda file: file["scalars"].attrs.__setitem__("field_names", file.ref), "the attribute 'field_names' of 'scalars' is neither text nor a number"),
        (remove("dimensions/time"), "no dataset 'time' in group '/dimensions'"),
        (remove("dimensions/y"), "no dataset 'y' in group '/dimensions'"),
        (attribute("dimensions/x", "time_varying", True), "the coordinate 'x' varies in time, which is not supported"),
        (attribute("dimensions/time", "sample_varying", True), r"the coordinate 'time' has shape \(5,\), but sample_varying is True"),
        (put("dimensions/x", np.zeros(8)), "'x' of shape .* does not contain increasing numbers"),
        (put("dimensions/x", np.full((3, 8), 1.0)), r"the coordinate 'x' has shape \(3, 8\), but sample_varying is False"),
        (attribute("t0_fields", "field_names"), "no attribute 'field_names' of 't0_fields'"),
        (attribute("t0_fields", "field_names", ["density", "heat"]), "no dataset 'heat' in group '/t0_fields'"),
        (attribute("t0_fields", "field_names", ["../dimensions/x"]), "no dataset '../dimensions/x'"),
        (remove(VELOCITY), "no dataset 'velocity' in group '/t1_fields'"),
        (attribute(DENSITY, "sample_varying"), "no attribute 'sample_varying' of 't0_fields/density'"),
        (attribute(DENSITY, "time_varying"), "no attribute 'time_varying' of 't0_fields/density'"),
        (attribute(DENSITY, "dim_varying"), "no attribute 'dim_varying' of 't0_fields/density'"),
        (attribute(DENSITY, "dim_varying", [True]), r"has \[True\] as 'dim_varying' of .*; expected 2 times true or false"),
        (attribute(DENSITY, "sample_varying", "yes"), "has 'yes' as 'sample_varying' of .*; expected true or false"),
        (
            attribute(DENSITY, "sample_varying", False),
            r"'t0_fields/density' has shape \(3, 5, 8, 6\), but its flags \(sample_varying False, time_varying True, dim_varying \[True, True\]\) mean \(5, 8, 6\)",
        ),
        (attribute(DENSITY, "dim_varying", [True, False]), r"mean \(3, 5, 8, 1\) or \(3, 5, 8\)"),
        (attribute(VELOCITY, "time_varying", False), r"'t1_fields/velocity' has shape .* mean \(3, 8, 6, 2\)"),
        (put(VELOCITY, np.zeros((3, 5, 8, 6, 3), "f4")), r"'t1_fields/velocity' has shape \(3, 5, 8, 6, 3\).* mean \(3, 5, 8, 6, 2\)"),
        (put(DENSITY, np.full((3, 5, 8, 6), b"a")), "'t0_fields/density' has type .S1; expected float32"),
        (attribute("t2_fields/stress", "antisymmetric", True), "'t2_fields/stress' is symmetric and antisymmetric"),
        (put("scalars/reynolds", np.zeros((3, 4))), r"'scalars/reynolds' has shape \(3, 4\), but its flags .* mean \(3,\) or \(3, 1\)"),
        (remove("scalars/reynolds"), "no dataset 'reynolds' in group '/scalars'"),
        (attribute("boundary_conditions/x_bound", "bc_type", "DIRICHLET"), "the bc_type of 'boundary_conditions/x_bound' is 'dirichlet'; known: periodic, wall, open"),
        (attribute("boundary_conditions/x_bound", "associated_dims", ["r"]), "the associated_dims of 'boundary_conditions/x_bound' are r, but the axes are x, y"),
        (remove("boundary_conditions/x_bound/mask"), "no dataset 'mask' in group"),
        (put("boundary_conditions/x_bound/mask", np.ones(7, bool)), r"'boundary_conditions/x_bound/mask' has shape \(7,\) and type bool; expected \(8,\)"),
        (link(DENSITY, h5py.ExternalLink("other.h5", "/u")), "has 'density' as a link to other.h5:/u, which is not followed"),
        (link("t0_fields", h5py.ExternalLink("other.h5", "/u")), "has 't0_fields' as a link, which is not followed"),
        (link("dimensions/x", h5py.SoftLink("/elsewhere")), "has 'x' as a link to /elsewhere, which is not followed"),
    ],
)  # fmt: skip
def test_what_is_wrong_gets_one_line_with_the_file(change: Edit, message: str, tmp_path: Path) -> None:
    path = small_well().write(tmp_path / "a.hdf5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UPSError, match=message) as error:
        _ = LAYOUT.open(path).head
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_times_that_differ_between_trajectories_are_refused(tmp_path: Path) -> None:
    times = np.tile(0.1 * np.arange(5), (3, 1))
    times[2] += 0.05
    path = replace(small_well(), times=times).write(tmp_path / "a.hdf5")
    with pytest.raises(
        UPSError, match="the coordinate 'time' of trajectory 2 differs from that of trajectory 0"
    ):
        _ = LAYOUT.open(path).head


def test_a_file_of_given_fields_only_is_refused(tmp_path: Path) -> None:
    well = small_well()
    path = replace(well, fields={"medium": well.fields["medium"]}).write(tmp_path / "a.hdf5")
    with pytest.raises(UPSError, match=r"a\.hdf5: no field varies in time, so there is nothing to predict"):
        _ = LAYOUT.open(path).head
