"""The YAML reader: 1.2 rules, positions, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ups_core import SpecError
from ups_core.errors import Issue
from ups_core.record import _Dumper
from ups_core.scalars import resolve_scalar
from ups_core.yaml_nodes import MAX_BYTES
from ups_core.yamlreader import parse_yaml, read_yaml


def parse(text: str, **environment: str) -> object:
    return parse_yaml(text, "s.yaml", environment).data


def message(text: str, **environment: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text, **environment)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.5E+2", 150.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("12", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("no", "no"),
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("=", "="),
    ],
)
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
        ("a: 1\nb: 2\na: 3", "s.yaml:3:1 a: duplicate key 'a' (first defined on line 1)"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "the tag '!!python/object/apply:os.system' is not allowed",
        ),
        ("a: !!python/name:os.system ''", "the tag '!!python/name:os.system' is not allowed"),
        ("a: !secret x", "the tag '!secret' is not allowed"),
        ("a: [1, 2", "s.yaml:1:9 not valid YAML"),
        ("a:\n\t- 1", "s.yaml:2:1 not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML: found another document"),
        ("a: " + "[" * 60 + "]" * 60, "a spec may have at most 40 levels"),
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
        (bomb("x", 101, 1), "s.yaml:2:510 a spec may have at most 100 aliases"),
        ("a: &a [*a]", "s.yaml:1:4 aliases expand to more than 40 levels"),
        ("a: &a {b: &b {c: *a, d: *b}}", "aliases expand to more than 40 levels"),
        ("&a [*a, *a, *a]", "aliases expand to more than 40 levels"),
    ],
)
def test_alias_bombs_are_refused_quickly(text: str, expected: str) -> None:
    assert expected in message(text)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ["])
def test_depth_is_refused_quickly(opening: str) -> None:
    assert "a spec may have at most 40 levels" in message(opening * 50_000)


def test_the_deepest_spec_is_read() -> None:
    assert parse("[" * 40 + "x" + "]" * 40) != parse("[" * 39 + "x" + "]" * 39)


def test_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ups_core.yaml_nodes.MAX_EVENTS", 1000)
    assert "a spec may have at most 1000 values" in message("[" + "1, " * 1000 + "]")


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
        (big, "at most"),
        (huge, "at most"),
        (Path("/dev/zero"), "at most"),
        (latin, "not UTF-8"),
        (tmp_path / "none.yaml", "cannot read the file"),
        (tmp_path, "cannot read"),
    ):
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


# Whatever a file holds

ANYTHING = st.text(max_size=60) | st.text("abc:- \t\n#{}[]&*!|>'\"%@`,?=~0123.$\\", max_size=60)


@given(ANYTHING)
def test_any_text_is_data_or_mistakes_at_places_inside_it(text: str) -> None:
    try:
        document = parse_yaml(text, "s.yaml", {})
    except SpecError as error:
        lines = max(1, len(text.splitlines()) + 1)
        for issue in error.issues:
            assert issue.file == "s.yaml"
            assert 1 <= issue.line <= lines
            assert issue.column >= 1
            assert "\n" not in str(issue)
    else:
        json.dumps(document.data)


@given(st.binary(max_size=60))
def test_any_file_is_data_or_mistakes(content: bytes) -> None:
    path = Path("s.yaml")
    path.write_bytes(content)
    found: list[Issue] = []
    try:
        read_yaml(path, {})
    except SpecError as error:
        found += error.issues
    assert all(issue.file == "s.yaml" for issue in found)


def leaves(data: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(data, (dict, list)):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(item, (*path, key))
    else:
        yield path, data


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), plain, max_size=4), st.booleans())
def test_every_value_is_where_its_position_says(data: dict[str, object], flow: bool) -> None:
    text = yaml.dump(data, Dumper=_Dumper, allow_unicode=True, default_flow_style=flow, width=10_000)
    document = parse_yaml(text, "s.yaml", {})
    lines = text.splitlines()
    for path, _ in leaves(data):
        at = document.position(path)
        rest = lines[at.line - 1][at.column - 1 :]
        key = path[-1]
        if isinstance(key, str):
            assert rest.startswith((key, f"'{key}'", f"? {key}")), (path, rest)
        else:
            assert rest[:1] != " "


@given(st.text(max_size=20))
def test_a_plain_scalar_is_never_more_than_json_can_hold(text: str) -> None:
    value = resolve_scalar(text)
    assert value is None or isinstance(value, (bool, int, float, str))
    if isinstance(value, str):
        assert value == text


@given(st.integers(), st.sampled_from(["{}", "{:+d}", "0x{:x}", "0o{:o}"]))
def test_integers_in_any_notation(number: int, notation: str) -> None:
    if notation.startswith("0"):
        number = abs(number)
    assert resolve_scalar(notation.format(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_read_bit_for_bit(number: float) -> None:
    for text in (repr(number), f"{number:.17e}", f"{number:.17E}"):
        assert resolve_scalar(text) == number


def test_a_number_of_thousands_of_digits_is_text() -> None:
    assert resolve_scalar("9" * 5000) == "9" * 5000


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
        st.text("ab1 .-", max_size=6),
        min_size=1,
        max_size=3,
    )
)
def test_references_are_filled_in_once_and_remembered(environment: dict[str, str]) -> None:
    text = "\n".join(f"k{index}: '<${{env:{name}}}>'" for index, name in enumerate(environment))
    document = parse_yaml(text, "s.yaml", environment)
    assert document.data == {f"k{index}": f"<{value}>" for index, value in enumerate(environment.values())}
    assert list(document.interpolated.values()) == [f"<${{env:{name}}}>" for name in environment]


def test_a_reference_alone_takes_the_type_of_its_value_quoted_or_not() -> None:
    environment = {"N": "3", "B": "true", "T": "x", "NULL": "null"}
    text = "a: ${env:N}\nb: '${env:N}'\nc: {d: \"${env:B}\"}\ne: '${env:T}'\nf: ${env:NULL}\ng: '${env:N}0'\n"
    expected = {"a": 3, "b": 3, "c": {"d": True}, "e": "x", "f": None, "g": "30"}
    assert parse(text, **environment) == expected


def test_a_value_of_the_environment_is_no_yaml() -> None:
    """It cannot add keys, and a reference in it is not followed."""
    environment = {"A": "1\nb: 2", "B": "${env:A}", "C": "[1, 2]"}
    assert parse("a: ${env:A}", **environment) == {"a": "1\nb: 2"}
    assert parse("a: ${env:B}", **environment) == {"a": "${env:A}"}
    assert parse("a: ${env:C}", **environment) == {"a": "[1, 2]"}


def test_all_mistakes_of_a_file_are_reported_together() -> None:
    text = "a: 1\na: 2\nb: !tag 3\nc: ${env:NOT_THERE}\n<<: {d: 4}\n? [e]\n: 5\n"
    lines = message(text).splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == [
        f"s.yaml:{place}" for place in ("2:1", "3:4", "4:4", "5:1", "6:3")
    ]


def test_aliases_are_values_of_their_own() -> None:
    data = parse("a: &x {b: [1]}\nc: *x\n")
    assert isinstance(data, dict)
    assert data["a"] == data["c"]
    assert data["a"] is not data["c"], "an override of one would change the other"
