"""Validation: every mistake at once, at its place, with a way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ups_core import SpecError
from ups_core.cli.main import main as ups
from ups_core.validate import load_spec


def issues(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_defaults_are_written_out(spec_file: Path) -> None:
    spec, _ = load_spec(spec_file)
    assert spec.model.to_dict() == {"kind": "toy/net", "width": 5, "depth": 2}
    assert spec.pipeline[0].config.optimizer.config.lr == 1e-2  # type: ignore[attr-defined]
    assert [step.id for step in spec.pipeline] == ["train", "score", "page"]
    assert spec.sampling.temperature == 1.0


def test_all_mistakes_at_once(spec_file: Path) -> None:
    text = spec_file.read_text()
    text = (
        text.replace("width: 5", "widht: 5").replace("epochs: 2", "epochs: two").replace("lr: 1e-2", "lr: -1")
    )
    text = text.replace("seed: 3", "sede: 3").replace("evaluate: toy/page", "evaluate: toy/pge")
    spec_file.write_text(text)
    assert issues(spec_file) == [
        "toy.yaml:3:1 sede: unknown key 'sede'; did you mean 'seed'?",
        "toy.yaml:6:24 model.widht: unknown key 'widht'; did you mean 'width'?",
        "toy.yaml:11:5 pipeline[0].epochs: expected a valid integer, got 'two'",
        "toy.yaml:12:32 pipeline[0].optimizer.lr: expected greater than 0, got -1",
        "toy.yaml:16:5 pipeline[2].evaluate: unknown evaluation 'toy/pge'; did you mean 'toy/page'?",
    ]


def test_a_blank_is_one_mistake_at_its_place_whatever_its_type(spec_file: Path) -> None:
    text = spec_file.read_text().replace("width: 5", 'width: "???"').replace("lr: 1e-2", "lr: -1")
    spec_file.write_text(text.replace("epochs: 2", "epochs: ???").replace("cells: 8", "cells: '???'"))
    assert [line.split(" ", 1)[1] for line in issues(spec_file)] == [
        "tasks.a.cells: fill in ???",
        "model.width: fill in ???",
        "pipeline[0].epochs: fill in ???",
        "pipeline[0].optimizer.lr: expected greater than 0, got -1",
    ]
    spec_file.write_text(text.replace('"???"', "5").replace("lr: -1", "lr: 1e-2"))
    load_spec(spec_file)


def test_a_blank_is_refused_where_any_text_would_do(spec_file: Path) -> None:
    spec_file.write_text(spec_file.read_text().replace("name: toy\n", "name: ???\n"))
    assert issues(spec_file)[0].endswith("name: fill in ???")
    load_spec(spec_file, ["name=toy"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("version: 1", "version: 2"), "version: expected 1, got 2"),
        (("name: toy", "name: a/b"), "name: expected at most 64 letters, digits"),
        (("kind: toy/line, cells", "cells"), "tasks.a: missing key 'kind'"),
        (("cells: 8", "cells: '8'"), "tasks.a.cells: expected a valid integer, got '8'"),
        (("cells: 8", "cells: 8.5"), "tasks.a.cells: expected a valid integer, got 8.5"),
        (("model: {kind: toy/net, width: 5}", ""), "missing key 'model'"),
        (
            ("model: {kind: toy/net, width: 5}", "model: [1]"),
            "model: expected the name of a model or a mapping with 'kind', got a list",
        ),
        (("toy/net", "toy/nett"), "model.kind: unknown model 'toy/nett'; did you mean 'toy/net'?"),
        (("    id: train\n", "    id: Train!\n"), "pipeline[0].id: expected at most 64 lower-case letters"),
        (
            ("    id: score", "    id: train"),
            "pipeline[1]: duplicate step id 'train'; give this step another 'id'",
        ),
        (
            ("    id: score", "    id: score\n    needs: [trian]"),
            "no earlier step has the id 'trian'; did you mean 'train'?",
        ),
        (
            ("  - stage: toy/train\n    id", "  - id"),
            "write a pipeline entry as 'stage: NAME' or 'evaluate: NAME'",
        ),
        (("lr: 1e-2", "lr: .inf"), "pipeline[0].optimizer.lr: expected a finite number, got inf"),
        (("lr: 1e-2", "lr: .nan"), "pipeline[0].optimizer.lr: expected a finite number, got nan"),
        (
            ("trainer: {", "trainer: {devices: 0, "),
            "trainer.devices: expected greater than or equal to 1, got 0",
        ),
    ],
)
def test_one_mistake(spec_file: Path, change: tuple[str, str], expected: str) -> None:
    spec_file.write_text(spec_file.read_text().replace(*change))
    assert expected in "\n".join(issues(spec_file))


def test_mistakes_of_overrides_name_the_override(spec_file: Path) -> None:
    assert issues(spec_file, "model.widht=3") == [
        "--set model.widht=3 model.widht: unknown key 'widht'; did you mean 'width'?"
    ]


def test_values_of_the_environment_are_not_shown(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    spec_file.write_text(spec_file.read_text().replace("epochs: 2", "epochs: ${env:TOKEN}"))
    assert issues(spec_file) == [
        "toy.yaml:11:5 pipeline[0].epochs: expected a valid integer, got ${env:TOKEN}"
    ]


def test_command_line_prints_lines_and_exits_2(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["validate", str(spec_file)]) == 0
    spec_file.write_text(spec_file.read_text().replace("width", "widht"))
    assert ups(["validate", str(spec_file)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert ups(["validate", "--json", str(spec_file)]) == 2
    (issue,) = json.loads(capsys.readouterr().out)["issues"]
    assert (issue["line"], issue["column"], issue["path"]) == (6, 24, "model.widht")
