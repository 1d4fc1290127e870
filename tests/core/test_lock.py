"""The lock on a run directory, between real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ups_core import UPSError
from ups_core.lock import locked

HOLD = """\
import sys
from pathlib import Path
from ups_core.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        expected = f"{tmp_path} is in use by process {process.pid} on {socket.gethostname()}; wait for it, "
        with pytest.raises(UPSError) as refused, locked(tmp_path):
            pass
        assert str(refused.value) == expected + "stop it, or start a new run with --fresh"


@pytest.mark.parametrize("how", ["end", "kill"])
def test_the_lock_ends_with_its_process_however_it_ends(how: str, tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        if how == "end":
            process.communicate()
        else:
            process.send_signal(signal.SIGKILL)
            process.wait()
        with locked(tmp_path):
            pass


def test_the_lock_is_released_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_a_killed_owner_is_not_named_any_more(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with locked(tmp_path):
            assert (tmp_path / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert (tmp_path / ".lock").read_text() == ""


def test_an_owner_that_has_not_written_its_name_yet(tmp_path: Path) -> None:
    with holder(tmp_path):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(UPSError, match="is in use by another process"), locked(tmp_path):
            pass


def test_other_directories_are_free_and_made(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"), locked(tmp_path / "c"):
        assert (tmp_path / "a" / "b" / ".lock").is_file()
