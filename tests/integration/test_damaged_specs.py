"""Shipped specs with bytes deleted, doubled, changed or put in: each loads, or says what is wrong in one line each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import SPECS
from ups_core import SpecError
from ups_core.errors import Issue
from ups_core.validate import load_spec

LONGEST = 700
PIECES = [
    b"&a ",
    b"*a",
    b"!!str ",
    b"! ",
    b"<<: ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"- ",
    b": ",
    b"? ",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"'",
    b'"',
    b"|\n",
    b">\n",
    b"%YAML 1.1\n",
    b"---\n",
    b"...\n",
    b"${env:HOME}",
    b"${env:UPS_NO}",
    b"~",
    b"1e999",
    b"0x",
    b".nan",
    b'"\\UFFFFFFFF"',
    b'"\\ud800"',
    b"\xe2\x80\xa8",
    b"extends: ",
    b"kind: ",
    b"stage: ",
    b"-1",
    b"[]",
    b"{}",
    b"#",
    b"@",
    b"9" * 5000,
    b"#" * 200,
    b"\x1b[31m",
]

PLACE = st.integers(0, 2**16)
LENGTH = st.integers(1, 30)
CHANGE = (
    st.tuples(st.just("delete"), PLACE, LENGTH, st.just(b""))
    | st.tuples(st.just("double"), PLACE, LENGTH, st.just(b""))
    | st.tuples(st.just("write"), PLACE, LENGTH | st.just(0), st.binary(min_size=1, max_size=4))
    | st.tuples(st.just("write"), PLACE, LENGTH | st.just(0), st.sampled_from(PIECES))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the specs, for those that extend another one."""
    return Path(shutil.copytree(SPECS[0].parent, tmp_path_factory.mktemp("damaged") / "specs"))


def check(folder: Path, content: bytes) -> None:
    path = folder / "damaged.yaml"
    path.write_bytes(content)
    issues: tuple[Issue, ...] = ()
    lines: list[str] = []
    try:
        load_spec(path)
    except SpecError as error:
        issues, lines = error.issues, str(error).splitlines()
    assert len(lines) == len(issues)
    for line, issue in zip(lines, issues, strict=True):
        assert line.startswith(str(folder))
        assert issue.line >= 1
        assert issue.column >= 1
        assert len(line) - len(str(path)) < LONGEST


@settings(max_examples=250)
@given(path=st.sampled_from(SPECS), changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_damaged_specs_load_or_say_why(
    folder: Path, path: Path, changes: list[tuple[str, int, int, bytes]]
) -> None:
    content = bytearray(path.read_bytes())
    for what, place, length, new in changes:
        start = place % (len(content) + 1)
        if what == "delete":
            del content[start : start + length]
        elif what == "double":
            content[start:start] = content[start : start + length]
        else:
            content[start : start + length] = new
    check(folder, bytes(content))


@settings(max_examples=100)
@given(content=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_any_bytes_load_or_say_why(folder: Path, content: bytes) -> None:
    check(folder, content)
