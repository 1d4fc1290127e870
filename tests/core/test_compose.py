"""Composing a spec: `extends` and `--set`, with the place of every value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

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


KEYS = st.sampled_from(["a", "b", "c", "kind"])
SCALARS = st.integers(-3, 3) | st.sampled_from(["x", "y"]) | st.booleans() | st.none()
TREES = st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=4)


def composed(base: object, child: dict[str, Any], *overrides: str) -> Any:
    """What a child with this content makes of its base."""
    Path("base.yaml").write_text(yaml.safe_dump(base))
    Path("child.yaml").write_text(yaml.safe_dump({"extends": "base.yaml"} | child))
    return read_spec(Path("child.yaml"), overrides).data


def merged(base: Any, child: Any, top: bool = True) -> Any:
    """The rule of `extends` in plain recursion."""
    if not (isinstance(base, dict) and isinstance(child, dict)):
        return child
    if not top and "kind" in base and "kind" in child and base["kind"] != child["kind"]:
        return child
    return {
        key: merged(base.get(key), child.get(key), False) if key in child else base[key]
        for key in {**base, **child}
    }


@given(MAPPINGS, MAPPINGS)
def test_extends_is_a_deep_merge_in_which_the_child_wins(base: dict[str, Any], child: dict[str, Any]) -> None:
    assert composed(base, child) == merged(base, child)


@given(MAPPINGS)
def test_extending_without_changes_changes_nothing(base: dict[str, Any]) -> None:
    assert composed(base, {}) == base


@given(MAPPINGS, MAPPINGS)
def test_extending_twice_is_extending_once(base: dict[str, Any], child: dict[str, Any]) -> None:
    once = composed(base, child)
    assert composed(once, child) == once


@given(MAPPINGS, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4), SCALARS)
def test_an_override_sets_its_value_and_nothing_beside_it(
    data: dict[str, Any], path: list[str], value: object
) -> None:
    Path("s.yaml").write_text(yaml.safe_dump(data))
    override = f"{'.'.join(path)}={json.dumps(value)}"
    found: Any = read_spec(Path("s.yaml"), [override]).data
    before: Any = data
    for key in path[:-1]:
        if isinstance(before, str):
            before = {"kind": before}  # the short form of a component
        before = before if isinstance(before, dict) else {}
        assert {**found, key: None} == {**before, key: None}
        found, before = found[key], before.get(key)
    assert found[path[-1]] == value


def test_every_value_has_the_place_of_the_file_that_gave_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {x: 1, y: 2}\nb: [1, 2]\nc: 3\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\na: {y: 5}\nb: [7]\n")
    document = read_spec(child, ["c=4"])
    places = {
        path: (Path(document.position(path).file).name, document.position(path).line)
        for path in (("a", "x"), ("a", "y"), ("b",), ("b", 0), ("c",), ("a",))
    }
    assert places == {
        ("a", "x"): ("base.yaml", 1),
        ("a", "y"): ("child.yaml", 2),
        ("b",): ("child.yaml", 3),
        ("b", 0): ("child.yaml", 3),
        ("c",): ("--set c=4", 0),
        ("a",): ("child.yaml", 2),
    }


def test_a_list_that_is_replaced_forgets_its_places(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("b: [1, {c: 2}]\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\n\n\nb: [7, 8]\n")
    document = read_spec(child)
    assert document.position(("b", 1, "c")).line == 4
    assert ("b", 1, "c") not in document.positions


def test_references_move_with_the_values_that_hold_them(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("pipeline:\n- {stage: fit, epochs: '${env:N}', lr: '${env:LR}'}\n")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\npipeline:\n  fit: {epochs: 3, width: '${env:W}'}\n")
    environment = {"N": "1", "LR": "0.5", "W": "7", "S": "9"}
    document = read_spec(child, ["pipeline.fit.seed=${env:S}"], environment)
    assert document.data["pipeline"] == [{"stage": "fit", "epochs": 3, "lr": 0.5, "width": 7, "seed": 9}]
    assert document.interpolated == {
        ("pipeline", 0, "lr"): "${env:LR}",
        ("pipeline", 0, "width"): "${env:W}",
        ("pipeline", 0, "seed"): "${env:S}",
    }


def test_the_short_form_of_a_component_gets_options(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("model: unet\n")
    assert read_spec(path, ["model.width=3"]).data == {"model": {"kind": "unet", "width": 3}}
    assert read_spec(path, ["model=fno"]).data == {"model": "fno"}
    assert read_spec(path, ["model.kind=fno", "model.kind=unet"]).data == {"model": {"kind": "unet"}}


def test_overrides_apply_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("a: 1\n")
    assert read_spec(path, ["a=2", "a=3", "b.c=4", "b={d: 5}"]).data == {"a": 3, "b": {"d": 5}}


@pytest.mark.parametrize(
    "content", ["extends: 3\n", "extends: ''\n", "extends: [a.yaml]\n", "extends: {a: b}\n"]
)
def test_extends_is_the_path_of_a_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(SpecError, match=r"s\.yaml:1:1 extends: expected the path of another spec"):
        read_spec(tmp_path / "s.yaml")


def test_paths_are_relative_to_the_file_that_extends(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "base.yaml").write_text("a: 1\n")
    (tmp_path / "deep" / "middle.yaml").write_text("extends: ../base.yaml\nb: 2\n")
    (tmp_path / "top.yaml").write_text("extends: deep/middle.yaml\nc: 3\n")
    assert read_spec(tmp_path / "top.yaml").data == {"a": 1, "b": 2, "c": 3}
    (tmp_path / "base.yaml").write_text("a: [\n")
    with pytest.raises(SpecError, match=r"deep/\.\./base\.yaml:2:1 not valid YAML"):
        read_spec(tmp_path / "top.yaml")
