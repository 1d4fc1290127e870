"""Composing a spec: `extends` and `--set`, with the place of every value."""

from __future__ import annotations

from pathlib import Path

import pytest

from ups_core import SpecError
from ups_core.compose import read_spec


def test_extends_merges_deeply_and_a_new_kind_replaces(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("model: {kind: a, width: 3}\nx: {y: 1, z: [1, 2]}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\nmodel: {kind: b}\nx: {z: [3]}\n")
    document = read_spec(child, ["x.y=5", "x.new.deep=yes"])
    assert document.data == {"model": {"kind": "b"}, "x": {"y": 5, "z": [3], "new": {"deep": "yes"}}}
    assert document.position(("x", "z")).file == str(child)
    assert document.position(("x", "y")).file == "--set x.y=5"


def test_setting_another_kind_drops_the_options_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("model: {kind: a, width: 3}\n")
    assert read_spec(path, ["model.kind=a"]).data == {"model": {"kind": "a", "width": 3}}
    assert read_spec(path, ["model.kind=b", "model.depth=2"]).data == {"model": {"kind": "b", "depth": 2}}


def test_a_mapping_changes_entries_of_the_base_list_by_id(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "pipeline:\n- {stage: fit, epochs: 1, optimizer: {kind: a, lr: 1}}\n- {evaluate: score, id: test}\n"
    )
    child = tmp_path / "child.yaml"
    child.write_text(
        "extends: base.yaml\npipeline:\n  fit: {epochs: 2, optimizer: {lr: 3}}\n  test: {split: val}\n"
    )
    document = read_spec(child)
    assert document.data["pipeline"] == [
        {"stage": "fit", "epochs": 2, "optimizer": {"kind": "a", "lr": 3}},
        {"evaluate": "score", "id": "test", "split": "val"},
    ]
    assert str(document.issue(("pipeline", 0, "optimizer", "lr"), "x")).startswith(f"{child}:3:")
    assert str(document.issue(("pipeline", 0, "optimizer", "kind"), "x")).startswith(
        str(tmp_path / "base.yaml")
    )
    child.write_text("extends: base.yaml\npipeline:\n  fitt: {epochs: 2}\n")
    with pytest.raises(
        SpecError, match=r"child\.yaml:3:3 pipeline\.fitt: no entry 'fitt' in this list; entries: fit, test"
    ):
        read_spec(child)


def test_extends_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(
        SpecError, match=r"b\.yaml:1:1 extends: circular 'extends': 'a\.yaml' extends this file"
    ):
        read_spec(tmp_path / "a.yaml")
    for number in range(12):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    with pytest.raises(SpecError, match=r"/10\.yaml:1:1 extends: more than 10 files extend one another"):
        read_spec(tmp_path / "0.yaml")
    (tmp_path / "c.yaml").write_text("extends: nowhere.yaml\n")
    with pytest.raises(SpecError, match="no such file"):
        read_spec(tmp_path / "c.yaml")


def test_set_addresses_pipeline_entries_by_id_and_number(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("pipeline:\n  - stage: train\n  - evaluate: score\n    id: test\nz: [1]\n")
    data = read_spec(path, ["pipeline.train.epochs=2", "pipeline.test.split=val", "pipeline.-1.x=1e-3"]).data
    assert data["pipeline"] == [
        {"stage": "train", "epochs": 2},
        {"evaluate": "score", "id": "test", "split": "val", "x": 1e-3},
    ]
    for override, expected in (
        ("pipeline.nobody.epochs=2", "no entry 'nobody'"),
        ("epochs", "key.path=value"),
        ("pipeline.7.x=1", "no entry '7'"),
        ("a=[1", "not valid YAML"),
        ("z.0.a.b=1", "'z.0' is not a mapping"),
        ("pipeline.--1.x=1", "no entry '--1'"),
        ("pipeline.².x=1", "no entry '²'"),
        (f"pipeline.{'9' * 5000}.x=1", "no entry '9999"),
        (f"a{'.b' * 50}=1", "a spec may have at most 40 levels"),
        ("a=&a [*a]", "aliases expand to more than"),
    ):
        with pytest.raises(SpecError, match=expected):
            read_spec(path, [override])
