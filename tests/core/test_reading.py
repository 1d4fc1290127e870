"""The reader of files that others may have left: regular, bounded, of the right form, or one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core.reading import MAX_BYTES, UnsoundFile, load_json, read_bytes, read_json, read_text
from ups_core.sealed import read_sealed, write_sealed
from ups_core.sums import check_size, check_sum, file_sum, sums_of


def link(path: Path) -> None:
    path.with_name("elsewhere").write_text("{}")
    path.symlink_to("elsewhere")


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "is missing"),
    "a folder": (lambda path: path.mkdir(), "is not a regular file"),
    "a link": (link, "is a link, which is not followed"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "is a link, which is not followed"),
    "a FIFO": (lambda path: os.mkfifo(path), "is not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a link"),
    "too large": (
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), MAX_BYTES + 1),
        "more than",
    ),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8 text (byte 0)"),
    "cut off": (lambda path: path.write_text('{"a": '), "is not readable JSON: "),
    "nested": (lambda path: path.write_text("[" * 100_000), "is not readable JSON: "),
    "a long number": (lambda path: path.write_text("1" * 10_000), "is not readable JSON: "),
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_odd_file_is_one_line(oddity: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    make, problem = ODD[oddity]
    make(path)
    with pytest.raises(UnsoundFile) as caught:
        load_json(path)
    line = str(caught.value)
    assert line.startswith(f"{path} ")
    assert problem in line
    assert "\n" not in line
    assert read_json(path) is None


def test_control_characters_of_a_name_are_not_printed(tmp_path: Path) -> None:
    with pytest.raises(UnsoundFile) as caught:
        read_text(tmp_path / "a\x1b[31m\nb")
    assert str(caught.value).endswith("a\\x1b[31m\\nb is missing")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_bytes(tmp_path / "a", limit=3) == b"abc"
    with pytest.raises(UnsoundFile, match="has more than 2 bytes"):
        read_bytes(tmp_path / "a", limit=2)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(content=st.dictionaries(st.text(max_size=4).filter(lambda key: key != "sha256"), plain, max_size=4))
def test_sealed_content_comes_back(
    content: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "sealed.json"
    write_sealed(path, content)
    again = read_sealed(path)
    assert list(again) == list(content)
    write_sealed(path, again)
    assert read_sealed(path) == again


@given(data=st.data())
def test_any_changed_character_is_noticed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.json"
    content = {"metrics": {"nrmse": 0.0123, "count": 3}, "name": "run", "none": None}
    write_sealed(path, content)
    text = path.read_text()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]
    path.write_text(changed)
    try:
        assert read_sealed(path) == content, "white space, or the same character"
    except UnsoundFile:
        assert changed != text


@pytest.mark.parametrize("content", ["{}", "[]", "3", '{"sha256": 3}', '{"a": 1}'])
def test_content_without_a_seal_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UnsoundFile, match="checksum"):
        read_sealed(tmp_path / "a.json")


def test_sums_are_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"abc")
    (tmp_path / "own").write_bytes(b"x")
    found = sums_of(tmp_path, without={"own"})
    assert list(found) == [".hidden", "deep/er/a"]
    assert found["deep/er/a"] == (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert found[".hidden"][1] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json.loads(json.dumps(found[".hidden"]._asdict())) == found[".hidden"]._asdict()


@pytest.mark.parametrize("where", ["a", "deep/a"])
def test_sums_of_links_are_refused(where: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / where).symlink_to("/etc/hostname")
    with pytest.raises(UnsoundFile, match="is a link"):
        sums_of(tmp_path)
    (tmp_path / where).unlink()
    (tmp_path / where).symlink_to("/etc")
    with pytest.raises(UnsoundFile, match="is a link"):
        sums_of(tmp_path)


def test_size_and_content_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    noted = file_sum(path)
    check_sum(path, noted)
    path.write_bytes(b"abd")
    check_size(path, noted)
    with pytest.raises(UnsoundFile, match="does not match its checksum"):
        check_sum(path, noted)
    path.write_bytes(b"ab")
    for check in (check_sum, check_size):
        with pytest.raises(UnsoundFile, match="has 2 bytes instead of 3"):
            check(path, noted)
