"""Folders of The Well become tasks: splits, parameters, boundaries and batches; one run from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from ups_core import UPSError
from ups_core.console import Console
from ups_data.tasks.base import Task
from ups_data.tasks.create import create_task
from well_files import Bound, Stored, Well, small_well

SAMPLES = {"train/a": 3, "train/b": 4, "valid/a": 2, "test/a": 2}
WALL = Bound("WALL", "y")


def write_folder(folder: Path, change: Callable[[Well], Well] = lambda well: well, **shape: Any) -> Path:
    """Files of different numbers of trajectories in `train`, `valid` and `test`."""
    for seed, (name, count) in enumerate(SAMPLES.items()):
        change(small_well(seed, count, **shape)).write(folder / f"{name}.hdf5")
    return folder


def well_task(**options: Any) -> Task:
    return create_task("the_well", {"path": "tiny"} | options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / "tiny")
    return tmp_path


def said(task: Task, root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines about the task while its data are prepared."""
    capsys.readouterr()
    task.prepare_data(root, Console())
    return [line for line in capsys.readouterr().err.splitlines() if "stats.yaml" in line]


def test_a_folder_gives_batches(root: Path, console: Console) -> None:
    task = well_task()
    record = task.prepare_data(root, console)
    assert record["splits"] == {"train": 7, "val": 2, "test": 2}
    data = task.open(root)
    info = data.info
    assert (info.family, info.shape, info.frames, info.dt) == ("the_well", (8, 6), 5, pytest.approx(0.1))
    assert info.sides == (("periodic", "periodic"), ("wall", "wall"))
    assert info.domain == (pytest.approx((0, 8 / 7)), pytest.approx((0, 1)))
    assert [(channel.name, channel.role, channel.vector, channel.component) for channel in info.channels] == [
        ("medium", "coefficient", "", ()),
        ("density", "state", "", ()),
        ("velocity_x", "state", "velocity", (0,)),
        ("velocity_y", "state", "velocity", (1,)),
        ("stress_xx", "state", "stress", (0, 0)),
        ("stress_xy", "state", "stress", (0, 1)),
        ("stress_yy", "state", "stress", (1, 1)),
    ]
    assert [(item.name, item.low, item.high) for item in info.parameters] == [("gamma", 1.5, 1.5)]
    second = small_well(1, 4)
    batch = data.windows("train", horizon=2).batch([3 * 3])  # the first window of the first row of train/b
    fields = {name: item.values[0] for name, item in second.fields.items()}
    state = [fields["density"], *np.moveaxis(fields["velocity"], -1, 0)]
    state += [fields["stress"][..., i, j] for i, j in ((0, 0), (0, 1), (1, 1))]
    np.testing.assert_array_equal(batch.state[0], np.stack([values[:1] for values in state], axis=1))
    np.testing.assert_array_equal(batch.target[0], np.stack([values[1:3] for values in state], axis=1))
    np.testing.assert_array_equal(batch.static[0, 0], fields["medium"][0])
    assert batch.params.tolist() == [[1.5]]
    test = data.trajectories("test").batch([1])
    np.testing.assert_array_equal(test.target[0, :, 0], small_well(3, 2).fields["density"].values[1, 1:])


def test_a_folder_data_holds_the_splits_and_a_moved_folder_has_the_same_data(
    root: Path, tmp_path: Path
) -> None:
    known = well_task().plan_data(root).fingerprint
    (root / "moved").mkdir()
    (root / "tiny").rename(root / "moved" / "data")
    assert well_task(path="moved").plan_data(root).fingerprint == known
    assert well_task(path=str(root / "moved")).plan_data(tmp_path / "other").fingerprint == known


@pytest.mark.parametrize("points", [(8,), (4, 4, 3)])
def test_other_dimensions(points: tuple[int, ...], tmp_path: Path, console: Console) -> None:
    write_folder(tmp_path / "tiny", points=points)
    task = well_task()
    task.prepare_data(tmp_path, console)
    batch = task.open(tmp_path).windows("train", horizon=1).batch([0])
    dim = len(points)
    assert batch.state.shape == (1, 1, 1 + dim + dim * (dim + 1) // 2, *points)


def test_files_and_strides_are_chosen_by_options(root: Path, console: Console) -> None:
    options = {"path": "", "files": "tiny/*/*.hdf5", "time_stride": 2, "space_stride": {"x": 2}}
    task = well_task(**options, symmetries=["translation"], domain={"x": [0, 1.25]})
    task.prepare_data(root, console)
    data = task.open(root)
    assert sum(len(data.splits[split]) for split in ("train", "val", "test")) == 11
    assert (data.info.shape, data.info.frames, data.info.domain[0]) == ((4, 6), 3, (0, 1.25))
    assert data.info.symmetries == ("translation",)
    by_layout = create_task("files", {"layout": {"kind": "the_well"}, "files": "tiny/train/*.hdf5"})
    assert by_layout.describe(root).sides == data.info.sides


def test_parameters_are_named_renamed_or_left_out(root: Path, console: Console) -> None:
    task = well_task(parameters={"Re": "reynolds", "adiabatic": "gamma"}, log_scale=["Re"])
    task.prepare_data(root, console)
    data = task.open(root)
    assert [(item.name, item.scale) for item in data.info.parameters] == [
        ("Re", "log"),
        ("adiabatic", "linear"),
    ]
    params = data.trajectories("test").batch([0, 1]).params
    np.testing.assert_allclose(params[:, 0], small_well(3, 2).scalars["reynolds"], rtol=1e-6)
    assert well_task(simulation_parameters=False).describe(root).parameters == ()


def without_bounds(well: Well) -> Well:
    return replace(well, bounds={})


def test_the_spec_says_boundaries_that_the_files_do_not(tmp_path: Path) -> None:
    write_folder(tmp_path / "tiny", without_bounds)
    with pytest.raises(UPSError, match=r"a\.hdf5: the file does not say its boundaries; set boundary"):
        well_task().describe(tmp_path)
    assert well_task(boundary="open").describe(tmp_path).sides == (("open", "open"),) * 2
    write_folder(tmp_path / "half", lambda well: replace(well, bounds={"y": WALL}))
    with pytest.raises(UPSError, match="does not give one boundary at the low end of axis x; set boundary"):
        well_task(path="half").describe(tmp_path)


def test_files_of_a_layout_without_boundaries_need_them_in_the_spec(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tensor"] = np.zeros((3, 4, 8), "f4")
        file["x-coordinate"], file["t-coordinate"] = np.arange(8.0), np.arange(4.0)
    options = {"layout": {"kind": "pdebench_tensor"}, "files": "a.h5"}
    with pytest.raises(UPSError, match=r"a\.h5: the file does not say its boundaries; set boundary"):
        create_task("files", options).describe(tmp_path)
    assert create_task("files", options | {"boundary": "wall"}).describe(tmp_path).sides == (("wall",) * 2,)
    arrays = {"files": "a.npz", "axes": "ntx", "channels": "u"}
    with pytest.raises(UPSError, match="boundary: Field required"):
        create_task("arrays", arrays)


def only(name: str, change: Callable[[Well], Well]) -> Callable[[Path], None]:
    """Another content of one file."""
    return lambda root: change(small_well(7, 3)).write(root / "tiny" / f"{name}.hdf5") and None


def without_medium(well: Well) -> Well:
    return replace(well, fields={name: item for name, item in well.fields.items() if name != "medium"})


def with_nan(well: Well) -> Well:
    well.fields["velocity"].values[1, 2, 3, 4, 1] = np.nan
    return well


def with_another_density(well: Well) -> Well:
    fields = {("heat" if name == "density" else name): item for name, item in well.fields.items()}
    return replace(well, fields=fields)


def set_attribute(name: str, value: Any) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with h5py.File(root / "tiny" / "train" / "b.hdf5", "r+") as file:
            file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (only("train/b", without_medium), {}, r"b\.hdf5 has the given fields none, but .*a\.hdf5 has medium; all files need"),
        (only("train/b", with_another_density), {}, r"b\.hdf5 has the channels heat, .*, but .*a\.hdf5 has density, "),
        (only("train/b", without_bounds), {}, r"b\.hdf5 has the boundaries none, but .* has periodic-periodic, wall-wall"),
        (only("test/a", with_another_density), {}, r"test/a\.hdf5 has the channels medium, heat, .*; all splits need"),
        (only("test/a", lambda well: replace(well, parameters={"nu": 1.0})), {}, r"test/a\.hdf5 has the parameters nu; all splits"),
        (only("valid/a", lambda well: replace(well, bounds=well.bounds | {"y_bound": Bound("OPEN", "y")})), {}, r"valid/a\.hdf5 has the boundary"),
        (only("train/b", with_nan), {}, r"b\.hdf5: 'velocity_y' contains NaN or infinity in trajectory 1, frame 2"),
        (set_attribute("grid_type", "spherical"), {}, r"b\.hdf5: the grid_type is 'spherical'"),
        (set_attribute("gamma", "high"), {}, r"b\.hdf5: no number 'gamma' for parameter 'gamma'"),
        (lambda root: None, {"parameters": {"e": "energy"}}, "the scalar 'energy' of parameter 'e' varies in time"),
        (lambda root: None, {"parameters": {"e": "rein"}}, "no number 'rein' for parameter 'e'"),
        (lambda root: None, {"path": "elsewhere"}, "elsewhere/data/train is not a readable folder .*; path is a folder with the folders train, valid, test"),
        (lambda root: (root / "tiny/valid/a.hdf5").unlink(), {}, r"tiny/valid has no files with the ending \.hdf5 or \.h5"),
        (lambda root: None, {"files": "tiny/train/a.hdf5"}, "path is a folder with all splits; remove files"),
        (lambda root: None, {"path": ""}, "no data: give path, or files, or train and test"),
        (lambda root: None, {"split": {"by": "time"}}, "split.by is 'time', but path is a folder with splits"),
        (lambda root: None, {"path": "", "train": "tiny/train/a.hdf5"}, "no data: give files, or train and test"),
        (lambda root: None, {"frames": 2, "history": 2}, "history 2 leaves none of 2 frames to predict"),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_one_line(
    change: Callable[[Path], Any], options: dict[str, Any], message: str, root: Path, console: Console
) -> None:
    change(root)
    with pytest.raises(UPSError, match=message) as error:
        well_task(**options).prepare_data(root, console)
    assert "\n" not in str(error.value)


def test_statistics_of_the_folder_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = well_task()
    task.prepare_data(root, Console(quiet=True))
    ours = task.open(root).statistics
    names = [channel.name for channel in task.describe(root).state_channels]
    mean, std = (dict(zip(names, values, strict=True)) for values in (ours.state.mean, ours.state.std))

    def nested(values: dict[str, float]) -> dict[str, Any]:
        stress = [[values[f"stress_{min(i, j)}{max(i, j)}"] for j in "xy"] for i in "xy"]
        return {
            "density": values["density"],
            "velocity": [values["velocity_x"], values["velocity_y"]],
            "stress": stress,
        }

    content = {"mean": nested(mean), "std": nested(std)}
    for key, known in (("mean", ours.static.mean), ("std", ours.static.std)):
        content[key]["medium"] = known[0]
    place = root / "tiny" / "stats.yaml"
    place.write_text(yaml.safe_dump(content))
    assert said(task, root, capsys) == []
    content["mean"]["velocity"][1] += 0.1
    content["std"]["stress"][0][1] *= 2
    del content["std"]["density"]
    content["mean"]["medium"] = [1, 2]
    place.write_text(yaml.safe_dump(content))
    lines = said(task, root, capsys)
    assert [line.split(" has ")[0] for line in lines[:2]] == [
        "the_well: 'velocity_y'",
        "the_well: 'stress_xy'",
    ]
    assert "mean and standard deviation of density, medium" in lines[2]
    assert len(lines) == 3
    assert said(well_task(trajectories=1), root, capsys) == [], "a part of the data has other statistics"


@pytest.mark.parametrize(
    "text", ["[", "a: [&x [*x]]\nmean: 3", "[" * 5000, "\x00", "mean: {density: 2024-99-99}", "1e-5"]
)
def test_a_broken_file_of_statistics_is_no_error(
    text: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tiny" / "stats.yaml").write_text(text)
    assert len(said(well_task(), root, capsys)) == 1


def test_given_fields_that_hardly_vary_are_tiled(tmp_path: Path, console: Console) -> None:
    """A medium by layers, the same in all trajectories, without axes of trajectories, time and x."""
    layers = np.linspace(1, 2, 6, dtype="f4").reshape(1, 1, 1, 6)
    medium = Stored(layers, sample=False, time=False, varying=[False, True], dropped=True)
    write_folder(tmp_path / "tiny", lambda well: replace(well, fields=dict(well.fields) | {"medium": medium}))
    task = well_task()
    task.prepare_data(tmp_path, console)
    batch = task.open(tmp_path).windows("train", horizon=1).batch([0, 9])
    np.testing.assert_array_equal(batch.static[:, 0], np.broadcast_to(layers[0], (2, 8, 6)))
