"""The YAML reader: 1.2 rules, positions, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ups_core import SpecError
from ups_core.compose import read_spec
from ups_core.record import _Dumper
from ups_core.yamlreader import MAX_BYTES, parse_yaml, read_yaml


def parse(text: str, **environment: str) -> object:
    return parse_yaml(text, "s.yaml", environment).data


def message(text: str, **environment: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text, **environment)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1.5E+2", 150.0), (".5", 0.5), ("-.inf", float("-inf")), ("12", 12), ("0o17", 15),
        ("0x1F", 31), ("017", 17), ("no", "no"), ("off", "off"), ("yes", "yes"), ("true", True), ("~", None),
        ("", None), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1_000", "1_000"), ("'1'", "1"),
        ('"true"', "true"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}")
    assert isinstance(found, dict)
    assert found["a"] == value
    assert type(found["a"]) is type(value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), plain, max_size=4))
def test_what_is_written_reads_back_equal(data: dict[str, object]) -> None:
    text = yaml.dump(data, Dumper=_Dumper, allow_unicode=True)
    assert parse(text) == data


def test_positions_count_from_one() -> None:
    document = parse_yaml("a: 1\nb:\n  - c: 2\n  - d\n", "s.yaml")
    assert (document.position(("b", 0, "c")).line, document.position(("b", 0, "c")).column) == (3, 5)
    assert (document.position(("b", 1)).line, document.position(("b", 1)).column) == (4, 5)
    assert document.position(("b", 0, "unknown")).line == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "s.yaml:3:1 a: the key 'a' stands at line 1 already"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "the tag '!!python/object/apply:os.system' is not allowed",
        ),
        ("a: !!python/name:os.system ''", "the tag '!!python/name:os.system' is not allowed"),
        ("a: !secret x", "the tag '!secret' is not allowed"),
        ("a: [1, 2", "s.yaml:1:9 not valid YAML"),
        ("a:\n\t- 1", "s.yaml:2:1 not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML: found another document"),
        ("a: " + "[" * 60 + "]" * 60, "a spec may have 40 levels at most"),
        ("? [a]\n: 1", "s.yaml:1:3 a key must be plain text"),
        ("a: ${env:NOT_THERE}", "s.yaml:1:4 a: the environment variable NOT_THERE is not set"),
        ("a: *b", "not valid YAML: found undefined alias"),
    ],
)
def test_mistakes_name_their_place(text: str, expected: str) -> None:
    assert expected in message(text)


def bomb(first: str, times: int, rounds: int) -> str:
    """Each line holds the one before it `times` times."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * times)}]" for n in range(1, rounds + 1)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (bomb("[x, x, x, x, x, x, x, x, x, x]", 10, 8), "aliases expand to more than 100000 values"),
        (bomb("x" * 10_000, 10, 8), "aliases expand to more than 1048576 characters"),
        (bomb("x", 1, 60), "aliases expand to more than 40 levels"),
        (bomb("x", 101, 1), "s.yaml:2:510 a spec may have 100 aliases at most"),
        ("a: &a [*a]", "s.yaml:1:4 aliases expand to more than 40 levels"),
        ("a: &a {b: &b {c: *a, d: *b}}", "aliases expand to more than 40 levels"),
        ("&a [*a, *a, *a]", "aliases expand to more than 40 levels"),
    ],
)
def test_alias_bombs_are_refused_quickly(text: str, expected: str) -> None:
    assert expected in message(text)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ["])
def test_depth_is_refused_quickly(opening: str) -> None:
    assert "a spec may have 40 levels at most" in message(opening * 50_000)


def test_the_deepest_spec_is_read() -> None:
    assert parse("[" * 40 + "x" + "]" * 40) != parse("[" * 39 + "x" + "]" * 39)


def test_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ups_core.yamlreader.MAX_EVENTS", 1000)
    assert "a spec may have 1000 values at most" in message("[" + "1, " * 1000 + "]")


def test_environment_fills_values_and_is_remembered(tmp_path: Path) -> None:
    document = parse_yaml("a: ${env:N}\nb: x-${env:N}", "s.yaml", {"N": "3"})
    assert document.data == {"a": 3, "b": "x-3"}
    assert document.interpolated == {("a",): "${env:N}", ("b",): "x-${env:N}"}


def test_files_that_cannot_be_specs(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_text("a: " + "x" * MAX_BYTES)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xff")
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(10 << 20)
    for path, expected in (
        (big, "at most"), (huge, "at most"), (Path("/dev/zero"), "at most"), (latin, "not UTF-8"), (tmp_path / "none.yaml", "cannot read it"), (tmp_path, "cannot read"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=expected):
            read_yaml(path)


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [2,\r\n  3]\r\n")
    assert read_yaml(path).data == {"a": 1, "b": [2, 3]}


@pytest.mark.parametrize(
    "text", ["a: 1\rb: 2\r", "a: 1\u2028b: 2", "\ufeff\ufeffa: 1", "a: 1\x85b: 2", "a: \u200b"]
)
def test_odd_spaces_and_line_ends_are_read_or_placed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, newline="")
    place = f"{path}:1:"
    try:
        read_yaml(path)
    except SpecError as error:
        place = str(error)
    assert place.startswith(f"{path}:1:")


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
        SpecError, match=r"child\.yaml:3:3 pipeline\.fitt: no entry of the extended spec has this id"
    ):
        read_spec(child)


def test_extends_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SpecError, match=r"b\.yaml:1:1 extends: 'a\.yaml' extends this file again"):
        read_spec(tmp_path / "a.yaml")
    for number in range(12):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    with pytest.raises(SpecError, match=r"/10\.yaml:1:1 extends: more than 10 files extend each other"):
        read_spec(tmp_path / "0.yaml")
    (tmp_path / "c.yaml").write_text("extends: nowhere.yaml\n")
    with pytest.raises(SpecError, match="there is no file"):
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
        ("pipeline.nobody.epochs=2", "there is no 'nobody'"), ("epochs", "key.path=value"),
        ("pipeline.7.x=1", "there is no '7'"), ("a=[1", "not valid YAML"),
        ("z.0.a.b=1", "'z.0' has no keys"), ("pipeline.--1.x=1", "there is no '--1'"),
        ("pipeline.².x=1", "there is no '²'"), (f"pipeline.{'9' * 5000}.x=1", "there is no '9999"),
        (f"a{'.b' * 50}=1", "a spec may have 40 levels at most"), ("a=&a [*a]", "aliases expand to more than"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=expected):
            read_spec(path, [override])
