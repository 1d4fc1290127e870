"""Fetching official files, against a server on the loopback address that misbehaves in every way."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ups_core import UPSError
from ups_core.cli.main import main
from ups_core.console import Console
from ups_data import prepare_task
from ups_data.generators import darcy
from ups_data.sources import download, fetching
from ups_data.tasks.create import create_task
from ups_data.tasks.sourced import SourcedTask

NUMBER = 133219
"""DaRUS number of the Darcy file of beta 1.0."""
NAME = "2D_DarcyFlow_beta1.0_Train.hdf5"
OPTIONS = {"trajectories": 10, "resolution": 16}
FOLDERS = {
    "1D/Advection/Train",
    "1D/Burgers/Train",
    "1D/CFD/Train",
    "1D/ReactionDiffusion/Train",
    "1D/diffusion-sorption",
    "2D/CFD/2D_Train_Rand",
    "2D/CFD/2D_Train_Turb",
    "2D/DarcyFlow",
    "2D/NS_incom",
    "2D/diffusion-reaction",
    "2D/shallow-water",
    "3D/Train",
}
Answer = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Answers requests by the script of its server, the last entry again and again."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "bytes=0-")
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.server.asked.append((self.path, start))
        answer = self.server.script[min(len(self.server.asked), len(self.server.script)) - 1]
        answer(self, self.server.content, start)

    def begin(self, code: int, length: int, kind: str = "application/x-hdf5", **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves one file."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.script: list[Answer] = [all_of_it]
        self.asked: list[tuple[str, int]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client hangs up: a traceback would mix with what the command says."""

    @property
    def starts(self) -> list[int]:
        """The first byte of every request."""
        return [start for _, start in self.asked]


def all_of_it(handler: Handler, content: bytes, start: int) -> None:
    if start >= len(content):
        handler.begin(416, 0, Content_Range=f"bytes */{len(content)}")
        return
    code = 206 if start else 200
    span = f"bytes {start}-{len(content) - 1}/{len(content)}"
    handler.begin(code, len(content) - start, **({"Content_Range": span} if start else {}))
    handler.wfile.write(content[start:])


def without_ranges(handler: Handler, content: bytes, start: int) -> None:
    handler.begin(200, len(content))
    handler.wfile.write(content)


def cut_after(count: int) -> Answer:
    def answer(handler: Handler, content: bytes, start: int) -> None:
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        code = 206 if start else 200
        handler.begin(code, len(content) - start, **({"Content_Range": span} if start else {}))
        handler.wfile.write(content[start : start + count])
        handler.wfile.flush()
        handler.connection.close()
        handler.close_connection = True

    return answer


def busy(code: int, **headers: str) -> Answer:
    return lambda handler, content, start: handler.begin(code, 0, **headers)


def page(handler: Handler, content: bytes, start: int) -> None:
    text = b"<html><title>Maintenance</title>back on Monday</html>"
    handler.begin(200, len(text), "text/html; charset=utf-8")
    handler.wfile.write(text)


def unlabelled_page(handler: Handler, content: bytes, start: int) -> None:
    text = b"<html>log in</html>"
    handler.begin(200, len(text), "application/octet-stream")
    handler.wfile.write(text)


def other_content(handler: Handler, content: bytes, start: int) -> None:
    other = content[:-1] + bytes([content[-1] ^ 1])
    handler.begin(200, len(other))
    handler.wfile.write(other)


def another_part(handler: Handler, content: bytes, start: int) -> None:
    handler.begin(206, 10, Content_Range=f"bytes 5-14/{len(content)}")
    handler.wfile.write(content[5:15])


def gigantic(handler: Handler, content: bytes, start: int) -> None:
    handler.begin(200, 10**18)
    handler.wfile.write(content)


@pytest.fixture(scope="session")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file as PDEBench publishes it, with fewer points and samples."""
    task = create_task("darcy2d", OPTIONS)
    assert isinstance(task, SourcedTask)
    request = task.request
    path = tmp_path_factory.mktemp("official") / NAME
    blocks = [darcy.generate(request.info, {"beta": 1.0}, 7, 0, 10)]
    request.layout.create().write(path, request.info, {"beta": 1.0}, 10, blocks)
    return path.read_bytes()


@pytest.fixture
def server(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server in place of DaRUS, whose manifest has this content."""
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/datafile/{{}}"
        monkeypatch.setattr(fetching, "DATAFILE", address)
        sums = fetching.MD5 | {NUMBER: hashlib.md5(content).hexdigest()}
        for module in ("fetching", "official", "versions"):
            monkeypatch.setattr(f"ups_data.sources.{module}.MD5", sums)
        monkeypatch.setattr(download, "PAUSE", 0.01)
        monkeypatch.setattr(download, "PIECE", 1000)
        yield server
        server.shutdown()
        thread.join()


def fetch(root: Path, *more: str) -> int:
    return main(["data", "fetch", "darcy2d", "--beta", "1.0", "--data-root", str(root), *more])


def place(root: Path) -> Path:
    return root / "2D" / "DarcyFlow" / NAME


def test_a_file_is_fetched_once_and_then_found(
    server: Server, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(tmp_path) == 0
    assert place(tmp_path).read_bytes() == content
    assert server.asked == [(f"/datafile/{NUMBER}", 0)]
    assert capsys.readouterr().out == f"{place(tmp_path)}: fetched\n"
    assert fetch(tmp_path) == 0
    assert capsys.readouterr().out == f"{place(tmp_path)}: already there\n"
    assert len(server.asked) == 1
    assert [path.name for path in place(tmp_path).parent.iterdir()] == [NAME]
    prepare_task("darcy2d", OPTIONS | {"source": {"kind": "official"}}, tmp_path)


@pytest.mark.parametrize(
    ("script", "starts"),
    [
        ([cut_after(3000), all_of_it], [0, 3000]),
        ([cut_after(3000), cut_after(0), cut_after(2000), all_of_it], [0, 3000, 3000, 5000]),
        ([cut_after(3), cut_after(3500), all_of_it], [0, 0, 3000]),
        ([cut_after(3000), without_ranges], [0, 3000]),
        ([busy(429, Retry_After="0"), busy(503), all_of_it], [0, 0, 0]),
        ([cut_after(3000), busy(503), all_of_it], [0, 3000, 3000]),
        ([busy(500), busy(502), busy(504), all_of_it], [0, 0, 0, 0]),
    ],
)
def test_trouble_that_passes(
    script: list[Answer], starts: list[int], server: Server, content: bytes, tmp_path: Path
) -> None:
    server.script = script
    assert fetch(tmp_path) == 0
    assert server.starts == starts
    assert place(tmp_path).read_bytes() == content


def test_a_later_command_continues_a_cut_download(
    server: Server, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = [cut_after(4000), busy(503)]
    assert fetch(tmp_path) == 1
    said = capsys.readouterr().err
    assert f"error: {NAME}: the server is busy (HTTP 503) (5 attempts); 0.0 MB are kept, rerun" in said
    assert not place(tmp_path).exists()
    server.script, server.asked = [all_of_it], []
    assert fetch(tmp_path) == 0
    assert server.starts == [4000]
    assert place(tmp_path).read_bytes() == content


def test_a_complete_partial_file_is_not_downloaded_again(
    server: Server, content: bytes, tmp_path: Path
) -> None:
    partial = place(tmp_path).parent / f".{NAME}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)
    assert fetch(tmp_path) == 0
    assert server.starts == [len(content)]
    assert place(tmp_path).read_bytes() == content


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (page, "the server sends a page (text/html; charset=utf-8), not data: <html><title>Maintenance"),
        (unlabelled_page, "the server sends no HDF5 file (it has b'<html>lo')"),
        (other_content, "what the server sent has another checksum than the manifest's"),
        (another_part, "asked for byte 0, the server sends byte 5; remove"),
        (gigantic, "has room for "),
        (busy(404), "the server answers HTTP 404 (Not Found)"),
        (busy(403), "the server answers HTTP 403 (Forbidden)"),
    ],
)
def test_a_server_that_lies(
    answer: Answer, message: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script = [answer]
    assert fetch(tmp_path) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert not place(tmp_path).exists()
    server.script, server.asked = [all_of_it], []
    assert fetch(tmp_path) == 0, "nothing is left that spoils the next attempt"
    assert server.starts == [0]


def test_a_partial_file_longer_than_the_servers(
    server: Server, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = place(tmp_path).parent / f".{NAME}.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content + b"more")
    assert fetch(tmp_path) == 1
    assert "bytes, but" in capsys.readouterr().err
    assert fetch(tmp_path) == 0


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(fetching, "DATAFILE", "http://127.0.0.1:9/{}")
    request = create_task("darcy2d", OPTIONS).request  # type: ignore[attr-defined]
    with pytest.raises(UPSError, match=rf"{NAME}: the connection failed \(.*5 attempts\); 0.0 MB are kept"):
        fetching.fetch_files(
            request.files, [tmp_path / NAME], Console(quiet=True), yes=True, way_out="agree with --yes"
        )


def test_large_files_need_consent(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "fetch", "advection1d", "--beta", "0.1", "0.4", "--data-root", str(tmp_path)]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "2 files: about 16.5 GB will be fetched to " in said
    assert said.endswith("; agree with --yes\n")
    assert not server.asked
    assert not list(tmp_path.iterdir())


def test_no_room(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    assert fetch(tmp_path, "--yes") == 1
    assert f"has room for 1.0 GB, but {NAME} needs 1.3 GB; free" in capsys.readouterr().err
    assert not server.asked


def test_unpublished_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "darcy2d", "--beta", "3.0", "--data-root", str(tmp_path)]) == 1
    assert "PDEBench published beta = 0.01, 0.1, 1.0, 10.0, 100.0" in capsys.readouterr().err
    assert main(["data", "fetch"]) == 2
    assert "name a TASK, or list the files of all with --dry-run" in capsys.readouterr().err


def test_dry_run_lists_every_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "--dry-run", "--json", "--data-root", str(tmp_path)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["folder"] for row in rows} == FOLDERS
    assert all(re.fullmatch("[0-9a-f]{32}", row["md5"]) and row["bytes"] > 1e9 for row in rows)
    assert len({row["name"] for row in rows}) == len(rows) == len({row["url"] for row in rows})
    sums = [row["md5"] for row in rows if "NS_incom" not in row["folder"]]
    assert len(set(sums)) == len(sums)
    flows = [row["md5"] for row in rows if "NS_incom" in row["folder"]]
    assert len(flows) == 274, "every number from 0 to 274 but 49"
    assert len(flows) - len(set(flows)) == 24, "as in PDEBench's manifest"
    assert main(["data", "fetch", "--dry-run", "--data-root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert all(row["name"] in text and row["md5"] in text for row in rows)
    assert "to fetch: about " in text.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("order", [0, 1, 2])
def test_arguments_may_stand_before_the_task(
    order: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--data-root", str(tmp_path), "--dry-run", "--json"]
    words = [*own[: 2 * order], "darcy2d", *own[2 * order :]]
    assert main(["data", "fetch", *words]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == NAME
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).write_bytes(b"there")
    assert main(["data", "fetch", *words]) == 0
    assert json.loads(capsys.readouterr().out)[0]["path"] == str(place(tmp_path))


def test_a_spec_fetches_only_if_asked(server: Server, content: bytes, tmp_path: Path) -> None:
    official: dict[str, Any] = {"kind": "official"}
    with pytest.raises(UPSError, match=r"official file not found.*'ups data fetch darcy2d'"):
        prepare_task("darcy2d", OPTIONS | {"source": official}, tmp_path)
    assert not server.asked
    fetching_task = create_task("darcy2d", OPTIONS | {"source": official | {"fetch": True}})
    before = fetching_task.plan_data(tmp_path)
    assert "1 file to fetch, about 1.3 GB" in before.note
    assert not server.asked, "a plan fetches nothing"
    fetching_task.prepare_data(tmp_path, Console(quiet=True))
    assert server.starts == [0]
    assert fetching_task.plan_data(tmp_path).fingerprint == before.fingerprint
    batch = fetching_task.open(tmp_path).trajectories("test").batch([0])
    assert np.isfinite(batch.target.numpy()).all()


def test_fetch_refuses_another_version(server: Server, content: bytes, tmp_path: Path) -> None:
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).write_bytes(content + b"\0")
    source = {"kind": "official", "fetch": True}
    with pytest.raises(UPSError, match=r"is not today's official file .* remove it, or set source.fetch"):
        prepare_task("darcy2d", OPTIONS | {"source": source}, tmp_path)
    assert not server.asked
