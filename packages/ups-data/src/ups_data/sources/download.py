"""Downloads one HDF5 file over HTTP: resumes after cuts, waits for busy servers, refuses other content.

:class:`Download` is a downloader of the library pooch, which verifies the checksum and moves the file into
place.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from ups_core import UPSError
from ups_core.console import Console
from ups_core.errors import printable, truncated
from ups_core.files import check_room

if TYPE_CHECKING:
    from requests import Response

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
BUSY = (429, 500, 502, 503, 504)
"""Answers after which the same request is repeated."""
ATTEMPTS = 5
"""Requests in a row that may bring nothing."""
PAUSE = 2.0
"""Seconds before the first repetition where the server names no time; doubled every time."""
MAX_PAUSE = 60.0
TIMEOUT = 60.0
"""Seconds without an answer or data after which a connection counts as cut."""
PIECE = 1024**2
"""Bytes that are written at once."""
MAX_PAGE = 1000
"""Bytes of a page that are quoted at most."""
MEGABYTE = 10**6


class Cut(Exception):
    """The connection ended, or the server is busy: the same request can be repeated.

    Args:
        reason: why, for the message when attempts run out.
        pause: seconds that the server asks for; None if it says nothing.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Answer(NamedTuple):
    """What the headers of an answer say.

    Attributes:
        offset: first byte of the body.
        total: size of the complete file; None if the server does not say.
    """

    offset: int
    total: int | None


class Download:
    """Downloads into a partial file that later calls continue.

    Args:
        name: of the file, for messages.
        partial: the file that grows; it is renamed when it is complete.
        console: shows progress.
    """

    def __init__(self, name: str, partial: Path, console: Console) -> None:
        self.name = name
        self.partial = partial
        self.console = console

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Download a file to `output_file`; the signature is that of pooch's downloaders.

        Raises:
            UPSError: the server does not have the file, sends something else, or cannot be reached; or there
                is no room. What has arrived stays in the partial file, unless it is of no use.
        """
        with self._open() as file:
            failures, pause = 0, PAUSE
            while True:
                before = file.tell()
                try:
                    self._request(url, file)
                    break
                except Cut as cut:
                    failures = 1 if file.tell() - before >= PIECE else failures + 1
                    if failures == ATTEMPTS:
                        raise UPSError(
                            f"{self.name}: {cut} ({ATTEMPTS} attempts); {file.tell() / MEGABYTE:.1f} MB are "
                            "kept, rerun the same command to continue"
                        ) from None
                    time.sleep(min(pause if cut.pause is None else cut.pause, MAX_PAUSE))
                    pause *= 2
        os.replace(self.partial, output_file)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        """The partial file, at its end; only one process has it."""
        with self.partial.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UPSError(f"{self.partial} is being written by another process; wait for it") from None
            yield file

    def _request(self, url: str, file: IO[bytes]) -> None:
        """Ask for what is missing and append it.

        Raises:
            Cut: something is still missing.
            UPSError: the server does not have the file, or sends something else.
        """
        import requests  # heavy

        size = file.tell()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
        try:
            with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
                answer = self._understand(response, size)
                if answer is not None:
                    self._receive(response, answer, file)
        except requests.RequestException as error:
            raise Cut(f"the connection failed ({_brief(error)})") from None

    def _understand(self, response: Response, size: int) -> Answer | None:
        """What an answer contains; None if the partial file is complete.

        Raises:
            Cut: the server is busy.
            UPSError: the server does not have the file, or sends something else.
        """
        code = response.status_code
        if code in BUSY:
            wait = response.headers.get("Retry-After", "")
            raise Cut(f"the server is busy (HTTP {code})", float(wait) if wait.isdigit() else None)
        start, total = _range(response.headers.get("Content-Range", ""))
        if code == 416 and size:
            if total == size:
                return None
            self.partial.unlink()  # another file than the one that was begun
            raise UPSError(
                f"{self.name}: the server has {total} bytes, but {size} have arrived already; they are "
                "removed, rerun the same command to begin again"
            )
        if code not in (200, 206):
            raise UPSError(
                f"{self.name}: the server answers HTTP {code} ({printable(response.reason or '')})"
            )
        kind = response.headers.get("Content-Type", "")
        if kind.lower().startswith(("text/", "application/xhtml")):
            page = next(response.iter_content(MAX_PAGE), b"").decode(errors="replace")
            text = printable(truncated(" ".join(page.split())))
            raise UPSError(
                f"{self.name}: the server sends a page ({printable(kind)}), not data: {text}; try again later"
            )
        if code == 206:
            if start != size:
                raise UPSError(
                    f"{self.name}: asked for byte {size}, the server sends byte {start}; "
                    f"remove {self.partial} to begin again"
                )
            return Answer(size, total)
        length = response.headers.get("Content-Length", "")
        return Answer(0, int(length) if length.isdigit() else None)

    def _receive(self, response: Response, answer: Answer, file: IO[bytes]) -> None:
        if answer.offset == 0:
            file.truncate(0)  # also where the server does not continue, but begins again
        if answer.total is not None:
            check_room(self.partial.parent, answer.total - answer.offset, self.name)
        total = answer.total or 0
        with self.console.progress(f"fetching {self.name} (MB)", total // MEGABYTE) as advance:
            done = answer.offset // MEGABYTE
            advance(done)
            for piece in response.iter_content(PIECE):
                missing = HDF5_SIGNATURE[file.tell() :]
                if piece[: len(missing)] != missing[: len(piece)]:
                    file.truncate(0)
                    raise UPSError(f"{self.name}: the server sends no HDF5 file (it has {piece[:8]!r})")
                file.write(piece)
                if answer.total is not None and file.tell() > answer.total:
                    file.truncate(0)
                    raise UPSError(
                        f"{self.name}: the server sends more than the {total} bytes that it announced"
                    )
                advance(file.tell() // MEGABYTE - done)
                done = file.tell() // MEGABYTE
        if answer.total is not None and file.tell() < answer.total:
            raise Cut("the connection was cut")


def _range(text: str) -> tuple[int | None, int | None]:
    """First byte and size of the complete file of a header such as `bytes 100-199/200` or `bytes */200`."""
    span, _, total = text.removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    return int(first) if first.isdigit() else None, int(total) if total.isdigit() else None


def _brief(error: Exception) -> str:
    return truncated(printable(" ".join(str(error).split())))
