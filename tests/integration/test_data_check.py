"""`ups data check SPEC`: defects of the data of a spec, found without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ups_core.cli.main import main

SPEC = """version: 1
name: own
tasks:
  own: {{kind: arrays, files: [own.npz], channels: {channels}, axes: ntx, boundary: periodic,
        coordinates: {{x: x, time: t}}, parameters: {{speed: speed}}{more}}}
model: latent_operator
pipeline:
  - stage: operator
    max_steps: 1
"""


@pytest.fixture
def fields() -> Any:
    rng = np.random.default_rng(0)
    return rng.standard_normal((20, 6, 16)).cumsum(axis=1)


def write(folder: Path, u: Any, more: str = "", channels: str = "[u]", **arrays: Any) -> Path:
    numbers = {"x": np.arange(16.0), "t": np.arange(6.0), "speed": np.linspace(0, 1, 20)[::-1], **arrays}
    np.savez(folder / "own.npz", u=u, **numbers)
    (folder / "own.yaml").write_text(SPEC.format(more=more, channels=channels))
    return folder / "own.yaml"


def check(spec: Path, *arguments: str) -> int:
    return main(["data", "check", str(spec), *arguments, "--data-root", str(spec.parent)])


def audit(spec: Path, capsys: pytest.CaptureFixture[str], code: int) -> Any:
    assert check(spec, "--json") == code
    (found,) = json.loads(capsys.readouterr().out)["specs"]
    return found


def test_sound_data(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, fields)
    assert check(spec) == 0
    text = capsys.readouterr().out
    assert "trajectories" in text
    assert "parameter speed" in text
    assert text.endswith("own.yaml: no defects\n")
    task = audit(spec, capsys, 0)["tasks"]["own"]
    assert [task["splits"][split]["size"] for split in ("train", "val", "test")] == [16, 2, 2]
    ends = [task["splits"][split]["channels"]["u"] for split in ("train", "val", "test")]
    assert min(end["min"] for end in ends) == pytest.approx(fields.min())
    assert max(end["max"] for end in ends) == pytest.approx(fields.max())
    assert not (tmp_path / "audits").exists(), "the check stores nothing"


def test_not_a_number(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fields[3, 2, :2] = np.nan
    fields[5, 0, 0] = np.inf
    (defect,) = audit(write(tmp_path, fields), capsys, 1)["defects"]
    assert "own.npz: 'u' contains NaN or infinity in trajectory 3, frame 2" in defect
    assert "(3 values in 2 trajectories are NaN or infinite)" in defect


def test_repeats(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fields[:, 0] = fields[0, 0]
    found = audit(write(tmp_path, fields), capsys, 1)
    assert found["tasks"]["own"]["repeats"] >= 4
    assert "of 20 trajectories start like one of another split" in found["defects"][0]


def test_a_constant_channel(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, fields, channels="[u, v]", v=np.ones_like(fields))
    assert audit(spec, capsys, 1)["defects"] == ["own: channel 'v' is constant in the train split"]


def test_an_empty_split(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, fields[:2], speed=np.arange(2.0))
    assert "own: the train split is empty" in audit(spec, capsys, 1)["defects"]


def test_jumps_and_drift_are_notes(tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fields[:, 4:] += 500
    spec = write(tmp_path, fields)
    notes = audit(spec, capsys, 0)["tasks"]["own"]["notes"]
    assert any("'u', trajectory" in note and "from frame 3" in note for note in notes)
    np.savez(
        tmp_path / "far.npz", u=fields[::-1] + 1, x=np.arange(16.0), t=np.arange(6.0), speed=np.arange(20) + 5
    )
    text = spec.read_text().replace("files: [own.npz]", "train: [own.npz], test: [far.npz]")
    spec.write_text(text)
    notes = audit(spec, capsys, 0)["tasks"]["own"]["notes"]
    assert any(
        "the range of parameter 'speed' of test, 5 to 24, leaves that of train" in note for note in notes
    )


def test_parts_of_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    u = np.random.default_rng(0).standard_normal((1, 60, 16))
    spec = write(tmp_path, u, ", split: {by: time}", t=np.arange(60.0), speed=np.ones(1))
    task = audit(spec, capsys, 0)["tasks"]["own"]
    assert [task["splits"][split]["size"] for split in ("train", "val", "test")] == [1, 1, 1]
    assert sum(task["splits"][split]["frames"] for split in ("train", "val", "test")) == 60 - 2 * 2
    assert "split by time" in task["notes"][0]


def test_a_missing_file_is_a_defect_of_its_task(
    tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(tmp_path, fields)
    (tmp_path / "own.npz").unlink()
    (defect,) = audit(spec, capsys, 1)["defects"]
    assert "own.npz does not exist" in defect


def test_specs_and_files_in_one_command(
    tmp_path: Path, fields: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(tmp_path, fields)
    assert check(spec, str(tmp_path / "own.npz")) == 0
    text = capsys.readouterr().out
    assert "own.npz: no checksum yet" in text
    assert "own.yaml: no defects" in text
    assert check(spec, "--set", "tasks.own.boundary=???") == 2
    assert "tasks.own.boundary: fill in ???" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path), "--set", "a=1"]) == 2
    assert "--set changes a spec, but no PATH is one" in capsys.readouterr().err
