"""Fingerprints: hashes that tell whether a finished step is still what the spec describes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

SOURCES = {".py", ".j2"}
"""Suffixes of the files that make up the fingerprint of an editable package."""


def digest(value: Any) -> str:
    """SHA-256 of plain data, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_versions(names: Iterable[str]) -> dict[str, str]:
    """Version of every named distribution and of the UPS plugins that it requires.

    For an editable install the version carries a hash of the sources, so that edited code is never
    mistaken for finished work.
    """
    found: dict[str, str] = {}
    queue = list(names)
    while queue:
        name = _normal(queue.pop())
        if name not in found:
            found[name], requirements = _version(name)
            queue += requirements
    return dict(sorted(found.items()))


@cache
def _version(name: str) -> tuple[str, tuple[str, ...]]:
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        return "unknown", ()
    # Of the requirements only plugins count: they register components, a library's version is recorded in
    # run.json without making finished steps stale.
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in dist.requires or () if "extra ==" not in line)
    plugins = tuple(match[0] for match in names if match and _is_plugin(match[0]))
    sources = _editable_sources(dist)
    return (dist.version if sources is None else f"{dist.version}+{_hash_sources(sources)}"), plugins


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_plugin(name: str) -> bool:
    try:
        return any(point.group == "ups" for point in distribution(name).entry_points)
    except PackageNotFoundError:
        return False


def editable_project(dist: Distribution) -> Path | None:
    """The project folder of an editable install, or None for a regular one."""
    text = dist.read_text("direct_url.json")
    if not text:
        return None
    origin = json.loads(text)
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(origin["url"]).path))


def _editable_sources(dist: Distribution) -> Path | None:
    """The source folder of an editable install, or None for a regular one."""
    folder = editable_project(dist)
    return folder / "src" if folder and (folder / "src").is_dir() else folder


def _hash_sources(folder: Path) -> str:
    hasher = hashlib.sha256()
    for path in sorted(_source_files(folder)):
        # The NUL byte separates name and content, so that no two trees give the same stream.
        hasher.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return hasher.hexdigest()[:12]


def _source_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix in SOURCES and not any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            yield path
