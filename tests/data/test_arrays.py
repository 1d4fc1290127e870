"""Own arrays: any order of axes in any format is read as it was written; what does not fit is one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from ups_core import UPSError, UsageError
from ups_core.console import Console
from ups_data.stores.array_options import SPACE
from ups_data.stores.base import TrajectoryStore
from ups_data.tasks.create import create_task
from ups_data.tasks.files import FilesTask

CANONICAL = ("trajectory", "time", "channel", *SPACE)
LETTERS = {"trajectory": "n", "time": "t", "channel": "c", "x": "x", "y": "y", "z": "z"}
SIZES = {"trajectory": 10, "time": 6, "channel": 2, "x": 8, "y": 5, "z": 3}


def npy(path: Path, arrays: Mapping[str, Any]) -> None:
    np.save(path, arrays["data"])


def npz(path: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(path, **arrays)


def mat(path: Path, arrays: Mapping[str, Any]) -> None:
    savemat(path, dict(arrays))


def mat73(path: Path, arrays: Mapping[str, Any]) -> None:
    """As MATLAB writes version 7.3: HDF5 with reversed axes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = np.asarray(values).T


def pt(path: Path, arrays: Mapping[str, Any]) -> None:
    torch.save({name: torch.as_tensor(np.ascontiguousarray(values)) for name, values in arrays.items()}, path)


def hdf5(path: Path, arrays: Mapping[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def netcdf(path: Path, arrays: Mapping[str, Any]) -> None:
    import xarray

    variables = {
        name: ([f"{name}{axis}" for axis in range(np.ndim(values))], values)
        for name, values in arrays.items()
    }
    dataset = xarray.Dataset(variables)
    if path.suffix == ".zarr":
        dataset.to_zarr(path, consolidated=False)
    else:
        dataset.to_netcdf(path, engine="h5netcdf")


FORMATS: dict[str, tuple[str, Callable[[Path, Mapping[str, Any]], None]]] = {
    "npy": (".npy", npy),
    "npz": (".npz", npz),
    "mat": (".mat", mat),
    "mat73": (".mat", mat73),
    "pt": (".pt", pt),
    "h5": (".h5", hdf5),
    "hdf5": (".hdf5", hdf5),
    "nc": (".nc", netcdf),
    "zarr": (".zarr", netcdf),
}


def own(root: Path, **options: Any) -> FilesTask:
    """A task `arrays` in the files of a folder."""
    dim = sum(axis in str(options["axes"]) for axis in SPACE)
    plain: dict[str, Any] = {"boundary": "open", "domain": {axis: [0, 1] for axis in SPACE[:dim]}}
    if "t" in options["axes"] and "time" not in options.get("coordinates", {}):
        plain["dt"] = 0.1
    task = create_task(
        "arrays", {name: value for name, value in (plain | options).items() if value is not None}
    )
    assert isinstance(task, FilesTask)
    return task


def store_of(task: FilesTask, root: Path) -> TrajectoryStore:
    return task.stores(task.plan_data(root), root).train


def everything(store: TrajectoryStore) -> Any:
    return np.concatenate([chunk.frames for chunk in store.chunks()])


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_order_of_axes_in_any_format(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if kind in ("nc", "zarr"):
        pytest.importorskip("xarray", reason="the extra ups-data[xarray]")
    dim = data.draw(st.integers(1, 3))
    with_channels, with_trajectories = data.draw(st.booleans()), data.draw(st.booleans())
    names = [
        *(["trajectory"] if with_trajectories else []),
        "time",
        *(["channel"] if with_channels else []),
        *SPACE[:dim],
    ]
    stored = data.draw(st.permutations(names))
    shape = [SIZES[axis] if axis in names else 1 for axis in CANONICAL[: 3 + dim]]
    values = (
        np.random.default_rng(0).normal(size=shape).astype(data.draw(st.sampled_from(["f4", "f8", "i4"])))
    )
    present = values.squeeze(
        tuple(place for place, axis in enumerate(CANONICAL[: 3 + dim]) if axis not in names)
    )
    array = present.transpose([names.index(axis) for axis in stored])
    root = tmp_path_factory.mktemp("arrays")
    ending, write = FORMATS[kind]
    write(root / f"own{ending}", {"data": array})
    name = "array" if kind == "npy" else "data"
    task = own(
        root,
        files=f"own{ending}",
        axes="".join(LETTERS[axis] for axis in stored),
        channels={f"u{number}": name for number in range(2 if with_channels else 1)},
        split=None if with_trajectories else {"by": "time", "train": 0.4, "val": 0.3, "test": 0.3, "gap": 0},
    )
    store = store_of(task, root)
    expected = values[:, : store.info.frames].astype("f4")
    assert store.info.shape == tuple(SIZES[axis] for axis in SPACE[:dim])
    assert np.array_equal(everything(store), expected)
    rows = np.array([len(expected) - 1, 0])
    assert np.array_equal(store.frames(rows, np.array([0, 1]), 1)[:, 0], expected[rows, [0, 1]])


@pytest.mark.parametrize("order", list(permutations("txc"))[::2])
def test_strides_and_lengths(order: tuple[str, ...], tmp_path: Path) -> None:
    values = np.arange(2.0 * 11 * 9).reshape(11, 9, 2)  # time, x, channel
    array = values.transpose([("t", "x", "c").index(letter) for letter in order])
    np.savez(tmp_path / "own.npz", data=array, x=np.linspace(-1, 1, 9)[None], t=0.5 * np.arange(11)[:, None])
    task = own(
        tmp_path,
        files="own.npz",
        axes="".join(order),
        channels={"a": "data", "b": "data"},
        coordinates={"x": "x", "time": "t"},
        domain=None,
        time_stride=2,
        space_stride={"x": 4},
        frames=5,
        split={"by": "time", "gap": 0, "train": 0.6, "val": 0.2, "test": 0.2},
        history=1,
    )
    with pytest.raises(UPSError, match="5 frames less two gaps of 0 leave 1 for val"):
        task.describe(tmp_path)
    whole = own(
        tmp_path,
        **{
            **task.config.model_dump(mode="json"),
            "frames": None,
            "split": {"gap": 0, "by": "time", "train": 0.4, "val": 0.3, "test": 0.3},
        },
    )
    store = store_of(whole, tmp_path)
    info = store.info
    assert (info.dt, info.shape, info.axes[0]) == (1.0, (3,), (-1.0, 0.0, 1.0))
    assert np.array_equal(everything(store)[0], values[:4:2, ::4].transpose(0, 2, 1)[: info.frames])


def steady(root: Path, **options: Any) -> FilesTask:
    plain = {"files": "own.npz", "axes": "nxy", "channels": {"u": "y"}, "static": {"a": "x"}}
    return own(root, **plain | options)


def test_a_steady_problem_of_booleans(tmp_path: Path, console: Console) -> None:
    random = np.random.default_rng(0)
    medium, solution = random.random((20, 8, 6)) > 0.5, random.random((20, 8, 6))
    np.savez(tmp_path / "own.npz", x=medium, y=solution)
    task = steady(tmp_path, domain={"x": [0, 2], "y": [0, 1]}, grid="nodes")
    task.prepare_data(tmp_path, console)
    data = task.open(tmp_path)
    batch = data.windows("train", horizon=1).batch([0])
    number = data.splits.train[0]
    assert data.info.kind == "steady"
    assert np.array_equal(batch.static[0, 0], medium[number].astype("f4"))
    assert np.array_equal(batch.target[0, 0, 0], solution[number].astype("f4"))
    assert data.info.axes[0] == pytest.approx(np.linspace(0, 2, 8))
    assert data.info.spacing == pytest.approx((2 / 7, 0.2))


@pytest.mark.parametrize(
    ("grid", "first", "last"), [("cells", 0.125, 1.875), ("nodes", 0.0, 2.0), ("edges", 0.0, 1.75)]
)
def test_points_without_coordinates(grid: str, first: float, last: float, tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", u=FIELD)
    task = own(tmp_path, files="own.npz", axes="ntx", channels="u", domain={"x": [0, 2]}, grid=grid)
    info = task.describe(tmp_path)
    assert info.axes[0] == pytest.approx(np.linspace(first, last, 8))
    assert info.domain == ((0, 2),)


def test_a_forcing_is_given_at_every_frame(tmp_path: Path, console: Console) -> None:
    values = np.random.default_rng(0).normal(size=(10, 6, 3, 8))
    np.savez(tmp_path / "own.npz", data=values)
    channels = {"f": "data", "u": "data", "v": "data"}
    task = own(tmp_path, files="own.npz", axes="ntcx", channels=channels, forcing=["f"], history=2)
    task.prepare_data(tmp_path, console)
    data = task.open(tmp_path)
    info = data.info
    assert [channel.name for channel in info.channels] == ["u", "v", "f"]
    assert [channel.name for channel in info.target_channels] == ["u", "v"]
    batch = data.windows("train", horizon=3).batch([1])
    number = data.splits.train[0]
    assert batch.forcing is not None
    assert np.array_equal(batch.forcing[0, :, 0], values[number, 1:6, 0].astype("f4"))
    assert np.array_equal(batch.state[0], values[number, 1:3, 1:].astype("f4"))
    assert np.array_equal(batch.target[0], values[number, 3:6, 1:].astype("f4"))
    train = values[list(data.splits.train), :, 0]
    assert data.statistics.forcing.mean == pytest.approx((train.mean(),), rel=1e-5)
    assert data.statistics.forcing.std == pytest.approx((train.std(),), rel=1e-5)
    assert batch.to("cpu").forcing is not None
    with pytest.raises(UPSError, match="no channel 'g'"):
        own(tmp_path, files="own.npz", axes="ntcx", channels=channels, forcing=["g"]).describe(tmp_path)


@pytest.mark.parametrize("shape", [(20, 1, 8, 6), (20, 8, 6), (8, 6), (1, 8, 6)])
def test_given_fields_may_lack_axes(shape: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    given_field, solution = random.random(shape), random.random((20, 1, 8, 6))
    np.savez(tmp_path / "own.npz", x=given_field, y=solution)
    store = store_of(steady(tmp_path, axes="ncxy"), tmp_path)
    static = store.static(np.array([3, 0]))
    wanted = np.broadcast_to(given_field.reshape(-1, 1, 8, 6), (20, 1, 8, 6))[[3, 0]]
    assert np.array_equal(static, wanted.astype("f4"))


def test_two_given_fields_of_one_array(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    force = random.random((20, 2, 8, 6))
    np.savez(tmp_path / "own.npz", f=force, y=random.random((20, 1, 8, 6)))
    task = steady(tmp_path, axes="ncxy", static={"fx": "f", "fy": "f"}, vectors={"force": ["fx", "fy"]})
    assert np.array_equal(store_of(task, tmp_path).static(np.array([4])), force[4:5].astype("f4"))
    assert task.describe(tmp_path).static_channels[1].component == (1,)


def complex_file(root: Path, imaginary: float) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(10, 6, 8)) + 1j * imaginary * random.normal(size=(10, 6, 8))
    np.savez(root / "own.npz", u=values)


def test_complex_numbers(tmp_path: Path) -> None:
    options = {"files": "own.npz", "axes": "ntx", "channels": "u"}
    complex_file(tmp_path, 1e-9)
    assert store_of(own(tmp_path, **options), tmp_path).info.channels[0].name == "u"
    complex_file(tmp_path, 0.1)
    with pytest.raises(
        UPSError, match=r"'u' is complex with imaginary parts up to .* set complex to 'parts'"
    ):
        own(tmp_path, **options).describe(tmp_path)
    values = np.load(tmp_path / "own.npz")["u"]
    store = store_of(own(tmp_path, **options, complex="parts"), tmp_path)
    assert [channel.name for channel in store.info.channels] == ["u_re", "u_im"]
    assert np.array_equal(everything(store), np.stack([values.real, values.imag], axis=2).astype("f4"))
    real = store_of(own(tmp_path, **options, complex="real"), tmp_path)
    assert np.array_equal(everything(real)[:, :, 0], values.real.astype("f4"))


def sweep(root: Path, count: int = 4, **extra: Any) -> None:
    """Files with a parameter in the name, whose trajectories start alike."""
    start = np.random.default_rng(0).normal(size=(10, 1, 8))
    for number in range(count):
        nu = 10.0**-number
        later = np.random.default_rng(number).normal(size=(10, 5, 8))
        np.savez(root / f"run_nu{nu:g}_re{number}.npz", u=np.concatenate([start, later], axis=1), **extra)


def test_parameters_from_names_numbers_and_arrays(tmp_path: Path, console: Console) -> None:
    sweep(tmp_path, gamma=np.linspace(1, 2, 10), g=9.81)
    options = {
        "files": "run_*.npz",
        "axes": "ntx",
        "channels": "u",
        "file_pattern": "nu{nu}_re{re}",
        "parameters": {"gamma": "gamma", "gravity": "g", "two": 2.0},
        "log_scale": ["nu"],
        "units": {"nu": "m2/s"},
        "same_starts": True,
    }
    task = own(tmp_path, **options)
    info, store = task.describe(tmp_path), store_of(task, tmp_path)
    names = [parameter.name for parameter in info.parameters]
    assert names == ["gamma", "gravity", "two", "nu", "re"]
    found = dict(zip(names, info.parameters, strict=True))
    assert (found["nu"].low, found["nu"].high, found["nu"].scale, found["nu"].unit) == (
        0.001,
        1,
        "log",
        "m2/s",
    )
    assert (found["gamma"].low, found["gamma"].high) == (1, 2)
    rows = dict(zip(names, store.parameters.T, strict=True))
    assert rows["gamma"].tolist() == pytest.approx(np.tile(np.linspace(1, 2, 10), 4).tolist())
    assert sorted(set(rows["nu"])) == [0.001, 0.01, 0.1, 1.0]
    assert set(rows["gravity"]) == {9.81}
    task.prepare_data(tmp_path, console)
    splits = task.open(tmp_path).splits
    assert len(splits.train) == 8, "groups of four trajectories that start alike"
    with pytest.raises(UPSError, match=r"start like one of another split.*set same_starts: true"):
        own(tmp_path, **options | {"same_starts": False}).prepare_data(tmp_path, console)


def test_files_are_splits_and_the_test_grid_may_differ(tmp_path: Path, console: Console) -> None:
    random = np.random.default_rng(0)
    for name, count, cells in (("train", 20, 8), ("val", 4, 8), ("test", 5, 16)):
        np.savez(tmp_path / f"{name}.npz", u=random.normal(size=(count, 6, cells)))
    options = {"axes": "ntx", "channels": "u", "boundary": "periodic"}
    task = own(tmp_path, train="train.npz", val="val.npz", test="test.npz", **options)
    details = task.prepare_data(tmp_path, console)
    assert details["splits"] == {"train": 20, "val": 4, "test": 5}
    data = task.open(tmp_path)
    assert (data.info.shape, data.problem("test").shape) == ((8,), (16,))
    assert data.trajectories("test").batch([0]).target.shape == (1, 5, 1, 16)
    assert data.trajectories("test").batch([0]).coords[:, 0].tolist() == pytest.approx(
        [(point + 0.5) / 16 for point in range(16)]
    )
    without = own(tmp_path, train="train.npz", test="test.npz", **options)
    assert without.prepare_data(tmp_path, console)["splits"] == {"train": 18, "val": 2, "test": 5}


def test_a_test_file_that_repeats_training_is_found(tmp_path: Path, console: Console) -> None:
    values = np.random.default_rng(0).normal(size=(20, 6, 8))
    np.savez(tmp_path / "train.npz", u=values)
    np.savez(tmp_path / "test.npz", u=values[:5])
    task = own(tmp_path, train="train.npz", test="test.npz", axes="ntx", channels="u")
    with pytest.raises(UPSError, match="5 of 25 trajectories start like one of another split"):
        task.prepare_data(tmp_path, console)


def test_time_is_split_with_a_gap(tmp_path: Path, console: Console) -> None:
    values = np.random.default_rng(0).normal(size=(50, 8))
    np.save(tmp_path / "own.npy", values)
    task = own(tmp_path, files="own.npy", axes="tx", channels={"u": "array"}, split={"by": "time"}, history=2)
    note = task.prepare_data(tmp_path, console)["note"]
    assert note == "split by time with a gap of 3 frames: an easier test than unseen trajectories"
    data = task.open(tmp_path)
    lengths = [data.problem(split).frames for split in ("train", "val", "test")]
    assert lengths == [36, 4, 4]
    first = [data.windows(split, horizon=1).batch([0]).state[0, 0, 0] for split in ("train", "val", "test")]
    for begin, frame in zip((0, 36 + 3, 36 + 3 + 4 + 3), first, strict=True):
        assert np.array_equal(frame, values[begin].astype("f4"))
    assert data.windows("train", horizon=1).batch([33]).target[0, 0, 0].tolist() == pytest.approx(
        values[35].tolist()
    )


def test_nothing_is_written_beside_own_files(tmp_path: Path, console: Console) -> None:
    place, root = tmp_path / "mine", tmp_path / "data"
    place.mkdir()
    np.savez(place / "own.npz", u=np.random.default_rng(0).normal(size=(10, 6, 8)))
    options = {"files": str(place / "own.npz"), "axes": "ntx", "channels": "u"}
    first = own(root, **options).prepare_data(root, console)
    assert [path.name for path in place.iterdir()] == ["own.npz"]
    np.savez(place / "own.npz", u=np.random.default_rng(1).normal(size=(10, 6, 8)))
    second = own(root, **options).prepare_data(root, console)
    assert first["fingerprint"] != second["fingerprint"], "other content is another data set"
    assert own(root, **options).plan_data(root).fingerprint == second["fingerprint"]


def uneven(size: int) -> Any:
    return np.linspace(0, 1, size) ** 2


def test_uneven_points_are_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", u=np.random.default_rng(0).normal(size=(10, 6, 8)), x=uneven(8))
    task = own(tmp_path, files="own.npz", axes="ntx", channels="u", coordinates={"x": "x"}, domain=None)
    info = task.describe(tmp_path)
    assert info.uniform == (False,)
    assert info.axes[0] == pytest.approx(uneven(8))
    assert store_of(task, tmp_path).info == info


FIELD = np.random.default_rng(0).normal(size=(10, 6, 8))
BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "axes": ({"u": FIELD}, {"axes": "ntxy"}, r"'u' has 3 axes, shape \(10, 6, 8\), but axes names 4"),
    "name": ({"velocity": FIELD}, {"channels": "velocty"}, "no array 'velocty'; did you mean 'velocity'"),
    "one of two": ({"u": FIELD}, {"channels": ["u", "v"]}, "no array 'v'"),
    "lengths": (
        {"u": FIELD, "v": FIELD[:, :5]},
        {"channels": ["u", "v"]},
        "'v' has 5 points along time, but 'u' has 6",
    ),
    "uneven time": (
        {"u": FIELD, "t": uneven(6)},
        {"coordinates": {"time": "t"}},
        r"the times 't' are not evenly spaced: a step of .* interpolate",
    ),
    "falling": (
        {"u": FIELD, "x": np.linspace(1, 0, 8)},
        {"coordinates": {"x": "x"}, "domain": None},
        "'x', the coordinate of axis x, does not increase: 1 is followed by 0.857143",
    ),
    "length of a coordinate": (
        {"u": FIELD, "x": np.linspace(0, 1, 7)},
        {"coordinates": {"x": "x"}, "domain": None},
        r"'x' has shape \(7,\), but axis x has 8 points",
    ),
    "domain": (
        {"u": FIELD, "x": np.linspace(0, 1, 8)},
        {"coordinates": {"x": "x"}, "domain": {"x": [0, 0.5]}},
        r"the points along x go from 0 to 1, beyond its domain \(0, 0.5\)",
    ),
    "no domain": ({"u": FIELD}, {"domain": None}, "has no coordinates for axis x; name an array"),
    "no times": ({"u": FIELD}, {"dt": None}, "has no times; name an array in coordinates.time, or give dt"),
    "parameter": (
        {"u": FIELD, "gamma": 1.4},
        {"parameters": {"gamma": "gama"}},
        "no number 'gama' for parameter 'gamma'; did you mean 'gamma'",
    ),
    "pattern": ({"u": FIELD}, {"file_pattern": "nu{nu}"}, "does not have the form 'nu{nu}' of file_pattern"),
    "frames": ({"u": FIELD}, {"frames": 7}, "has 6 frames, but 7 frames 1 apart need 7"),
    "history": ({"u": FIELD}, {"history": 6}, "has 6 frames, but history 6 leaves none to predict"),
    "vector": ({"u": FIELD}, {"vectors": {"V": ["w"]}}, "no channel 'w'"),
    "boundary": ({"u": FIELD}, {"boundary": {"y": "open"}}, "boundary names the axes y, but the data have x"),
    "trajectories": ({"u": FIELD}, {"trajectories": 11}, "has 10 trajectories; the task asks for 11"),
    "objects": (
        {"u": np.array([{"a": 1}], dtype=object)},
        {},
        "Python objects in 'u', which are never unpickled",
    ),
    "nan": (
        {"u": np.where(FIELD > 2, np.nan, FIELD)},
        {},
        r"'u' contains NaN or infinity in trajectory \d.* replace such values",
    ),
    "empty": ({"u": FIELD[:0]}, {}, r"'u' is empty: shape \(0, 6, 8\)"),
    "text": ({"u": np.array(["a", "b"])}, {}, "has no numeric arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_line(case: str, tmp_path: Path, console: Console) -> None:
    arrays, options, message = BAD[case]
    np.savez(tmp_path / "own.npz", **arrays)
    plain = {"files": "own.npz", "axes": "ntx", "channels": "u"}
    with pytest.raises(UPSError, match=message) as caught:
        own(tmp_path, **plain | options).prepare_data(tmp_path, console)
    assert "\n" not in str(caught.value)
    assert "own" in str(caught.value) or case in ("vector", "boundary", "domain")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "ntxx"}, "axes names 'x' twice"),
        ({"axes": "nty"}, r"use x, or x and y"),
        ({"axes": "nt"}, "use x, or x and y"),
        ({"axes": "ntq"}, "axes"),
        ({"axes": "nx"}, "problem is steady and needs given fields; name them in static"),
        ({"channels": {"a": "u", "b": "u"}}, "array 'u' holds several channels, but axes has no 'channel'"),
        ({"static": {"u": "x"}}, "'u' is among channels and static"),
        ({"domain": {"y": [0, 1]}}, "'y' is not among axes"),
        ({"coordinates": {"time": "t"}, "dt": 0.1}, "dt and coordinates.time both give the times"),
        ({"files": []}, "no data: give files, or train and test"),
        ({"train": "own.npz"}, "give one or the other"),
        ({"files": [], "train": "a", "test": "b", "split": {"by": "time"}}, "split.by is 'time'"),
        ({"space_stride": 0}, "space_stride"),
        ({"history": 3, "frames": 3}, "history 3 leaves none of 3 frames"),
        ({"boundary": {"x": ["periodic"]}}, "boundary"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    plain = {"files": "own.npz", "axes": "ntx", "channels": "u"}
    with pytest.raises(UsageError, match=message):
        own(tmp_path, **plain | options)


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"axes": "ntx", "channels": "u"}
    with pytest.raises(UPSError, match=r"absent.npz does not exist; relative paths start at the data root"):
        own(tmp_path, files="absent.npz", **options).plan_data(tmp_path)
    with pytest.raises(UPSError, match=r"no file matches .*\*.npz"):
        own(tmp_path, files="*.npz", **options).plan_data(tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    (here / "own.npz").touch()
    monkeypatch.chdir(here)
    with pytest.raises(UPSError, match=r"own.npz is here, so give its absolute path"):
        own(tmp_path, files="own.npz", **options).plan_data(tmp_path / "data")
    np.savez(tmp_path / "a.npz", u=FIELD)
    with pytest.raises(UPSError, match=r"a.npz is named twice"):
        own(tmp_path, files=["a.npz", "*.npz"], **options).plan_data(tmp_path)
    (tmp_path / "own.csv").write_text("1,2\n")
    with pytest.raises(UPSError, match=r"unknown ending"):
        own(tmp_path, files="own.csv", **options).describe(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": FIELD[..., :4]}, r"'x' \(4 points from .* does not contain the 8 points of the task"),
        ({"v": FIELD}, "no array 'u'"),
        ({"u": FIELD[:, :4]}, "has 4 frames, but 6 frames 1 apart need 6"),
    ],
)
def test_files_of_one_glob_that_differ(
    change: dict[str, Any], message: str, tmp_path: Path, console: Console
) -> None:
    np.savez(tmp_path / "a.npz", u=FIELD)
    np.savez(tmp_path / "b.npz", **change)
    with pytest.raises(UPSError, match=message) as caught:
        own(tmp_path, files="*.npz", axes="ntx", channels="u").prepare_data(tmp_path, console)
    assert "b.npz" in str(caught.value)


def test_a_test_file_of_another_domain(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", u=FIELD, x=np.linspace(0, 1, 8))
    np.savez(tmp_path / "test.npz", u=FIELD[:5], x=np.linspace(0, 3, 8))
    task = own(
        tmp_path,
        train="train.npz",
        test="test.npz",
        axes="ntx",
        channels="u",
        coordinates={"x": "x"},
        domain=None,
    )
    with pytest.raises(UPSError, match=r"test.npz has the domain .*all splits need the same"):
        task.stores(task.plan_data(tmp_path), tmp_path)
