"""A page carries its own checksum as its last line, so that a copy that was sent around can be checked."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from ups_core.reading import UnsoundFile, read_bytes

SEAL = re.compile(rb"<!-- sha256 ([0-9a-f]{64}) of all before -->\s*\Z")


def sealed_page(page: str) -> str:
    """A page with its checksum."""
    return f"{page}<!-- sha256 {sha256(page.encode()).hexdigest()} of all before -->\n"


def check_page(path: Path) -> None:
    """Compare a page with its checksum.

    Raises:
        UnsoundFile: it has none, or was changed after it was written.
    """
    content = read_bytes(path)
    seal = SEAL.search(content)
    if seal is None:
        raise UnsoundFile(path, "has no checksum: it is damaged, or was not written by this version")
    expected, found = seal[1].decode(), sha256(content[: seal.start()]).hexdigest()
    if found != expected:
        raise UnsoundFile.changed(path, expected, found)
