"""JSON files that carry the checksum of their own content, so that a changed digit is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ups_core.files import finite, write_json
from ups_core.fingerprint import digest
from ups_core.reading import UnsoundFile, load_json

SEAL = "sha256"
"""Key of the checksum: SHA-256 of the other keys and values as compact JSON in sorted order."""


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data with its checksum."""
    plain: dict[str, Any] = finite(dict(content))
    assert SEAL not in plain
    write_json(path, plain | {SEAL: digest(plain)})


def read_sealed(path: Path) -> dict[str, Any]:
    """The content without its checksum.

    Raises:
        UnsoundFile: the file is missing or unreadable, or its content is not the one that was written.
    """
    content = load_json(path)
    if not isinstance(content, dict) or SEAL not in content:
        raise UnsoundFile(path, "has no checksum: it is damaged, or of an earlier version")
    noted = content.pop(SEAL)
    if noted != (found := digest(content)):
        raise UnsoundFile(
            path, f"does not match its checksum (expected {str(noted)[:12]}, found {found[:12]})"
        )
    return content
