"""Own arrays: any order of axes in any format is read as it was written."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from own_files import CANONICAL, FIELD, FORMATS, LETTERS, SIZES, everything, own, store_of, uneven
from ups_core import UPSError
from ups_core.console import Console
from ups_data.stores.array_options import SPACE
from ups_data.tasks.files import FilesTask


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


def test_uneven_points_are_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", u=np.random.default_rng(0).normal(size=(10, 6, 8)), x=uneven(8))
    task = own(tmp_path, files="own.npz", axes="ntx", channels="u", coordinates={"x": "x"}, domain=None)
    info = task.describe(tmp_path)
    assert info.uniform == (False,)
    assert info.axes[0] == pytest.approx(uneven(8))
    assert store_of(task, tmp_path).info == info
