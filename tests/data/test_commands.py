"""`ups data`: files that the package itself reads, findings for people and machines, help that teaches."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from ups_core.cli.main import main
from ups_data import prepare_task


def test_generate_and_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trajectories", "10", "--frames", "5", "--resolution", "64", "--seed", "3"]
    assert main(["data", "generate", "advection1d", "--beta", "1", *options, "--out", str(tmp_path)]) == 0
    path = tmp_path / "1D_Advection_Sols_beta1.0.hdf5"
    line = capsys.readouterr().out
    assert line.startswith(f"{path}: (10, 5, 64) in ")
    assert line.endswith("trajectories/s\n")
    assert main(["data", "inspect", str(path), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert findings["layout"] == "pdebench_tensor"
    assert findings["attributes"]["beta"] == 1.0
    assert findings["made_by_ups"] is True
    assert findings["datasets"]["tensor"] == {"shape": [10, 5, 64], "dtype": "float32"}
    assert findings["coordinates"]["t-coordinate"] == {"points": 6, "first": 0.0, "last": pytest.approx(0.05)}
    assert findings["values"]["tensor"]["not_finite"] == 0
    with h5py.File(path) as file:
        assert findings["values"]["tensor"]["mean"] == pytest.approx(file["tensor"][:].mean(), rel=1e-5)
    assert main(["data", "inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert all(
        part in text for part in ("layout: pdebench_tensor", "beta = 1.0", "(10, 5, 64)", "all finite")
    )


def test_native_is_the_default_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "generate", "darcy2d", "--trajectories", "10", "--out", str(tmp_path)]
    assert main(command) == 0
    assert "(10, 1, 128, 128)" in capsys.readouterr().out
    assert main(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["data", "inspect", str(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layout"] == "pdebench_tensor"


def test_a_file_may_have_fewer_trajectories_than_a_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "generate", "advection1d", "--resolution", "64", "--out", str(tmp_path)]
    assert main([*command, "--trajectories", "0"]) == 2
    assert capsys.readouterr().err == "error: --trajectories is 0; a file needs one or more\n"
    assert main([*command, "--trajectories", "4"]) == 0
    assert "(4, 201, 64) in " in capsys.readouterr().out


def test_damaged_and_foreign_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["0000/data"] = np.array([1.0, np.nan, 3.0])
        file["empty"] = np.zeros((0, 3))
        file.attrs["note"] = np.bytes_(b"hello")
    assert main(["data", "inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "not recognised" in text
    assert "1 values are NaN or infinite" in text
    path.write_bytes(b"\0" * 10)
    assert main(["data", "inspect", str(path)]) == 1
    assert "not a readable HDF5 file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["generate"],
        ["generate", "darcy2d"],
        ["generate", "advection1d"],
        ["generate", "burgers1d"],
        ["fetch"],
        ["fetch", "burgers1d"],
        ["export"],
        ["export", "darcy2d"],
        ["export", "spec"],
        ["repack"],
        ["inspect"],
        ["new"],
        ["check"],
    ],
)
def test_help_teaches(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", *words, "--help"])
    assert caught.value.code == 0
    assert "ups data" in capsys.readouterr().out.split("example")[-1]


def test_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "generate", "darcy2d", "--resolution", "60", "--out", str(tmp_path)]) == 2
    assert "resolution 60 does not divide the native 128 points; use 8, 16" in capsys.readouterr().err


def test_check_names_what_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"trajectories": 10, "resolution": 16, "frames": 3}
    prepare_task("advection1d", options, tmp_path)
    (generated,) = tmp_path.rglob("*.hdf5")
    (audit,) = (tmp_path / "audits").iterdir()
    foreign = tmp_path / "own.h5"
    shutil.copy(generated, foreign)
    assert main(["data", "check", str(tmp_path), "--full"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{foreign}: no checksum yet; the first run that uses it notes one",
        f"{audit}: ok",
        f"{generated}: ok {hashlib.sha256(generated.read_bytes()).hexdigest()}",
    ]
    audit.write_text(audit.read_text().replace("0.", "1.", 1))
    content = bytearray(generated.read_bytes())
    content[-9] ^= 4
    generated.write_bytes(content)
    assert main(["data", "check", str(tmp_path)]) == 1
    found = capsys.readouterr().out
    assert f"{audit}: damaged: does not match its checksum (expected " in found
    assert f"{generated}: damaged: does not match its checksum (expected " in found
    generated.unlink()
    assert main(["data", "check", str(generated.parent)]) == 1
    assert f"{generated}: damaged: cannot be read (No such file" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "absent")]) == 1
    assert "absent does not exist; name a data file or a data root" in capsys.readouterr().err


def test_files_of_several_parameter_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trajectories", "3", "--frames", "2", "--resolution", "64", "--out", str(tmp_path)]
    assert main(["data", "generate", "advection1d", "--beta", "0.1", "2", *options]) == 0
    assert [path.name for path in sorted(tmp_path.glob("*.hdf5"))] == [
        "1D_Advection_Sols_beta0.1.hdf5",
        "1D_Advection_Sols_beta2.0.hdf5",
    ]
    assert capsys.readouterr().out.count(": (3, 2, 64) in ") == 2
    assert main(["data", "generate", "advection1d", "--beta", "4", "2", *options]) == 2
    assert "beta2.0.hdf5 already exists; choose another --out or remove" in capsys.readouterr().err
    assert len(list(tmp_path.glob("*.hdf5"))) == 2, "nothing is generated before all targets are free"
    assert main(["data", "generate", "advection1d", "--beta", "fast", *options]) == 2
    assert "beta" in capsys.readouterr().err
    assert main(["data", "generate", "advection1d", "--beta", "[", *options]) == 2
    assert "the command line" in capsys.readouterr().err
