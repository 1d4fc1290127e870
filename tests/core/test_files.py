"""Files are complete or absent, whatever goes wrong while they are written."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core.files import replacing, write_bytes, write_json, write_text
from ups_core.reading import read_json

POINTS = ("os.fsync", "os.chmod", "os.replace")
"""The calls between a written temporary file and the file in its place."""


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("point", ["block", *POINTS])
def test_a_failure_at_any_point_leaves_what_was_there(
    point: str, existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    if existing:
        path.write_text("old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    def attempt() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            if point == "block":
                fail()

    if point != "block":
        monkeypatch.setattr(point, fail)
    with pytest.raises(OSError, match="No space left"):
        attempt()
    monkeypatch.undo()
    assert leftovers(tmp_path) == (["a.txt"] if existing else [])
    assert not existing or path.read_text() == "old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_what_was_there(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert leftovers(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_readers_see_the_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "a rename is atomic within one file system only"
    assert path.read_text() == "new"
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_killed_writer_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom ups_core.files import replacing\n"
        f"with replacing(Path({str(path)!r})) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == -9
    assert path.read_text() == "old"


def test_content_is_on_disk_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace, fsync = os.replace, os.fsync

    def note_fsync(handle: int) -> None:
        order.append("fsync")
        fsync(handle)

    def note_replace(source: object, target: object) -> None:
        order.append("replace")
        replace(source, target)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_text(tmp_path / "a.txt", "x")
    assert order == ["fsync", "replace", "fsync"], "the content, the rename, the directory"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(mask: int, tmp_path: Path) -> None:
    """`mkstemp` makes private files; others of the group may have to read runs."""
    before = os.umask(mask)
    try:
        write_text(tmp_path / "ours", "x")
        (tmp_path / "plain").write_text("x")
    finally:
        os.umask(before)
    ours, plain = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", memoryview(b"\x00\xff"))
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\x00\xff"


def test_numbers_that_json_cannot_hold_become_null(tmp_path: Path) -> None:
    value = {"a": [1.5, math.nan, math.inf], "b": {"c": -math.inf}, 3: (True, None)}
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1.5, None, None], "b": {"c": None}, "3": [True, None]}
    assert text.endswith("}\n")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(plain)
def test_json_reads_back_as_it_was_written(value: object) -> None:
    path = Path("a.json")
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe", None])
def test_what_cannot_be_read_is_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert read_json(path) is None
    assert read_json(tmp_path) is None, "a folder"
