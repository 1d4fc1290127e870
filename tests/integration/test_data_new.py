"""`ups data new`: guesses about files of many shapes, blanks where a file does not tell, specs that validate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from ups_core import SpecError
from ups_core.cli.main import main
from ups_core.planner import make_plan
from ups_core.validate import load_spec
from ups_data.guesses.facts import facts_of
from ups_data.guesses.guess import Guesses, guess

X = np.linspace(0, 1, 32, endpoint=False)
T = np.linspace(0, 2, 40)


def wave(t: Any = T, x: Any = X) -> Any:
    """A travelling wave, periodic on [0, 1): (time, x)."""
    return np.sin(2 * np.pi * (x[None] - 0.1 * t[:, None]))


def guesses_of(folder: Path, **arrays: Any) -> Guesses:
    path = folder / "a.npz"
    np.savez(path, **arrays)
    return guess(facts_of(path))


def plan_of(spec: Path, root: Path, *overrides: str) -> Any:
    """The checks that ups-run makes before it trains: the task fits its files, and the models fit the task."""
    return make_plan(*load_spec(spec, overrides), runs_dir=root / "runs", data_root=root)


# Small files of the shapes that people publish.


def space_before_time(folder: Path) -> Path:
    """One trajectory (x, t), fixed to 0 at both ends, coordinates as columns."""
    x, t = np.linspace(-1, 1, 33), np.linspace(0, 0.99, 40)
    u = -np.sin(np.pi * x)[:, None] * np.exp(-t)[None]
    np.savez(folder / "flow.npz", usol=u, x=x[:, None], t=t[:, None])
    return folder / "flow.npz"


def two_channels(folder: Path) -> Path:
    """Two arrays with axes of equal length, 1 held at x = 0; coordinates as rows."""
    x, t = np.linspace(0, 1, 40), np.linspace(0, 10, 40)
    front = np.exp(-3 * x[None] / (0.3 + t[:, None]))
    np.savez(folder / "reaction.npz", Ca=front, Cb=front**2, x=x[None], t=t[None])
    return folder / "reaction.npz"


def complex_matlab(folder: Path) -> Path:
    """Complex numbers whose imaginary parts are rounding, periodic without the last point."""
    u = wave().T + 1e-9j
    scipy.io.savemat(folder / "waves.mat", {"usol": u, "x": X[None], "t": T[:, None]})
    return folder / "waves.mat"


def darcy(folder: Path, name: str, count: int) -> Path:
    """Boolean coefficient and float32 solution, without coordinates."""
    rng = np.random.default_rng(count)
    x = np.pad(np.ones((14, 14)), 1)
    solution = x * rng.uniform(0.5, 1, (count, 1, 1)) + 1e-3
    medium = rng.random((count, 16, 16)) > 0.5
    data = {"x": torch.tensor(medium), "y": torch.tensor(solution, dtype=torch.float32)}
    torch.save(data, folder / name)
    return folder / name


BY_HAND = {
    "flow.npz": [],
    "reaction.npz": [("axes", "[time, x]"), ("boundary", "{x: [dirichlet, open]}")],
    "waves.mat": [],
    "train.pt": [("domain", "{x: [0, 1], y: [0, 1]}")],
}
"""File -> what is filled in by hand."""


@pytest.mark.parametrize("name", BY_HAND)
def test_specs_of_real_shapes_are_valid_once_blanks_are_filled_in(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    space_before_time(root), two_channels(root), complex_matlab(root)
    darcy(root, "train.pt", 30), darcy(root, "test.pt", 10)
    files = ["--train", "data/train.pt", "--test", "data/test.pt"] if name == "train.pt" else [f"data/{name}"]
    assert main(["data", "new", *files, "-o", "own.yaml"]) == 0
    said = capsys.readouterr().out
    keys = [key for key, _ in BY_HAND[name]]
    assert said.startswith("own.yaml: task 'own'")
    assert ("fill in " + " and ".join(keys) in said) == bool(keys)
    spec = tmp_path / "own.yaml"
    text = spec.read_text()
    assert max(map(len, text.splitlines())) <= 110
    assert str(tmp_path) not in text, "paths start at the data root"
    if keys:
        assert main(["validate", "own.yaml"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(" ", 1)[1] for line in lines] == [f"tasks.own.{key}: fill in ???" for key in keys]
    for key, value in BY_HAND[name]:
        text = re.sub(rf"^    {key}: \?\?\?", f"    {key}: {value}", text, flags=re.MULTILINE)
    spec.write_text(text)
    assert main(["validate", "own.yaml"]) == 0
    assert main(["data", "check", "own.yaml"]) == 0
    plan = plan_of(spec, root)
    assert [step.id for step in plan.steps][-1] == "report"
    assert main(["data", "new", *files, "-o", "own.yaml"]) == 2
    assert "own.yaml already exists; choose another -o or remove the file" in capsys.readouterr().err


def test_what_a_spec_says_about_one_trajectory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = space_before_time(tmp_path)
    assert main(["data", "new", str(path), "--data-root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for line in (
        "name: flow",
        "    files: [flow.npz]",
        "    channels: [usol] # the only field",
        "    axes: [x, time] # shape 33x40; 'x' has 33 numbers; 't' has 40 numbers",
        "    boundary: dirichlet # the values at both ends keep one value over time",
        "    split: {by: time} # 1 trajectory: parts of the time are the splits",
        "    # persistence: the last given frame; fno is trained like the model",
        "    baselines: [persistence, fno]",
    ):
        assert line in text.splitlines()


def test_a_file_elsewhere_has_an_absolute_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = space_before_time(tmp_path)
    assert main(["data", "new", str(path), "--data-root", str(tmp_path / "other")]) == 0
    assert f"    files: [{path}]" in capsys.readouterr().out


def test_axes_of_equal_length_are_left_open_with_all_that_is_known(tmp_path: Path) -> None:
    found = guess(facts_of(two_channels(tmp_path)))
    assert found.channels.value == ["Ca", "Cb"]
    assert found.axes.value is None
    assert found.axes.why.endswith("fill in [x, time] or [time, x]")
    assert found.boundary.value is None
    assert "{x: [dirichlet, open]} with axes [time, x]" in found.boundary.why
    assert (found.trajectories, found.frames) == (1, 40)


def test_complex_numbers(tmp_path: Path) -> None:
    found = guess(facts_of(complex_matlab(tmp_path)))
    assert found.complex is not None
    assert (found.complex.value, found.boundary.value) == ("real", "periodic")
    found = guesses_of(tmp_path, psi=wave() * np.exp(1j * wave()), x=X, t=T)
    assert found.complex is not None
    assert found.complex.value == "parts"


def test_a_steady_problem_has_given_fields_by_values_or_by_names(tmp_path: Path) -> None:
    found = guess(facts_of(darcy(tmp_path, "a.pt", 12)))
    assert (found.channels.value, found.static.value, found.steady) == (["y"], ["x"], True)
    assert found.axes.value == ("trajectory", "x", "y")
    assert found.boundary.value == "dirichlet"
    assert found.domain is not None
    assert found.domain.value is None
    assert found.dt is None
    rng = np.random.default_rng(0)
    named = guesses_of(tmp_path, coeff=rng.random((20, 16, 24)), sol=rng.random((20, 16, 24)))
    assert (named.channels.value, named.static.value) == (["sol"], ["coeff"])


def test_unknown_times_and_places_are_blank(tmp_path: Path) -> None:
    found = guesses_of(tmp_path, u=np.stack([wave()] * 12))
    assert found.axes.value is None
    assert found.axes.why.endswith("fill in [trajectory, time, x] or [time, x, y]")
    assert found.dt is not None
    assert found.domain is not None
    assert found.dt.value is found.domain.value is None


def test_two_arrays_that_nothing_tells_apart_are_left_open(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = guesses_of(tmp_path, p=rng.random((12, 30)), q=rng.random((12, 30)))
    assert found.channels.value == ["p", "q"]
    assert found.axes.why == "only the shape 12x30 is known; fill in [time, x] or [trajectory, x]"


def test_values_that_are_not_numbers_leave_the_boundary_open(tmp_path: Path) -> None:
    found = guesses_of(tmp_path, u=np.full((12, 40, 32), np.nan), x=X, t=T)
    assert found.axes.value == ("trajectory", "time", "x")
    assert found.boundary.value is None
    assert "NaN or infinite" in found.boundary.why


def test_a_periodic_axis_that_stores_both_ends(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 33)
    found = guesses_of(tmp_path, u=wave(x=x), x=x, t=T)
    assert found.boundary.value == "periodic"
    assert "the last point repeats the first" in found.boundary.why


def test_trajectories_come_first(tmp_path: Path) -> None:
    speeds = np.linspace(1, 2, 12) ** 2
    found = guesses_of(tmp_path, u=np.stack([wave()] * 12), x=X, t=T, speed=speeds[::-1])
    assert found.axes.value == ("trajectory", "time", "x")
    assert found.trajectories == 12
    assert found.parameters == {"speed": "speed"}
    assert found.boundary.value == "periodic"


def test_channels_last_and_time_last(tmp_path: Path) -> None:
    u = np.random.default_rng(0).random((20, 16, 24, 30, 2))
    found = guesses_of(tmp_path, u=u, x=np.arange(16.0), y=np.arange(24.0), t=np.arange(30.0))
    assert found.axes.value == ("trajectory", "x", "y", "time", "channel")
    assert found.entries == 2


def test_meshes_give_ends_and_steps(tmp_path: Path) -> None:
    mesh_t, mesh_x = np.meshgrid(T, np.linspace(0, 1, 30), indexing="ij")
    found = guesses_of(tmp_path, X=mesh_x, T=mesh_t, usol=np.sin(mesh_x + mesh_t))
    assert found.channels.value == ["usol"]
    assert found.axes.value == ("time", "x")
    assert found.coordinates == {}
    assert found.dt is not None
    assert found.domain is not None
    assert found.dt.value == pytest.approx(T[1])
    assert found.domain.value == {"x": (0.0, 1.0)}


def test_a_mask_without_time_is_given(tmp_path: Path) -> None:
    u = np.random.default_rng(0).random((40, 16, 24))
    found = guesses_of(tmp_path, u=u, mask=u[0] > 0.5, x=np.arange(16.0), y=np.arange(24.0), time=T)
    assert found.axes.value == ("time", "x", "y")
    assert found.static.value == ["mask"]


def test_files_of_pdebench_get_their_named_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--trajectories", "10", "--resolution", "64", "--frames", "21", "--out", "data"]
    assert main(["data", "generate", "advection1d", *options]) == 0
    path = tmp_path / "data" / "1D_Advection_Sols_beta0.4.hdf5"
    assert main(["data", "new", str(path), "-o", "made.yaml"]) == 0
    made = (tmp_path / "made.yaml").read_text()
    assert "kind: files\n" in made, "a generated file is not an official one"
    assert "layout: pdebench_tensor" in made
    assert "parameters: {beta: beta}" in made
    plan_of(tmp_path / "made.yaml", tmp_path / "data")
    with h5py.File(path, "r+") as file:
        for key in ("ups_generator", "ups_fingerprint", "ups_seed"):
            del file.attrs[key]
    assert main(["data", "new", str(path), "-o", "official.yaml"]) == 0
    official = (tmp_path / "official.yaml").read_text()
    assert "kind: advection1d #" in official
    assert "beta: [0.4]" in official
    plan_of(tmp_path / "official.yaml", tmp_path / "data")


def test_wrong_files_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "lines.npz", x=X, t=T)
    (tmp_path / "notes.txt").write_text("hello")
    train = str(tmp_path / "lines.npz")
    for arguments, message in (
        (["gone.npz"], "gone.npz does not exist; name a data file"),
        ([str(tmp_path / "notes.txt")], "notes.txt has an unknown ending; known: .npy"),
        ([train], "lines.npz has no array with two axes or more, so no field (found x (32,), t (40,))"),
        (["--train", train], "--train and --test belong together"),
        ([], "name files to split, or files with --train and --test"),
        ([train, "--test", train], "one or the other"),
    ):
        assert main(["data", "new", *arguments]) != 0
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


def test_a_blank_is_refused_when_a_run_is_planned(tmp_path: Path) -> None:
    spec = tmp_path / "own.yaml"
    assert main(["data", "new", str(two_channels(tmp_path)), "-o", str(spec)]) == 0
    with pytest.raises(SpecError, match=r"tasks\.own\.axes: fill in \?\?\?"):
        load_spec(spec)
