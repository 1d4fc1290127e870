"""`ups data check`: compares data files and audits with their checksums."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ups_core.console import Console
from ups_core.errors import printable
from ups_core.reading import UnsoundFile
from ups_core.sealed import read_sealed
from ups_data.stores.checksums import SUFFIX, check_noted, noted_sum

DATA_SUFFIXES = (".hdf5", ".h5")


def check_files(paths: Sequence[Path], full: bool, console: Console) -> dict[Path, str]:
    """Compare data files and audits with their checksums; that of a damaged one starts with `damaged`.

    Args:
        paths: files, or folders that are searched for data files and audits.
        full: compare all of large files.
        console: shows progress.

    Raises:
        UnsoundFile: a path does not exist.
    """
    found = [file for path in paths for file in _files(path)]
    outcomes = {}
    with console.progress("checking", len(found)) as advance:
        for path in found:
            outcomes[path] = _outcome(path, full)
            advance(1)
    return outcomes


def print_outcomes(outcomes: Mapping[Path, str]) -> None:
    """Print a line for every file."""
    for path, outcome in outcomes.items():
        print(printable(f"{path}: {outcome}"))


def _outcome(path: Path, full: bool) -> str:
    try:
        if path.suffix == ".json":
            read_sealed(path)
            return "ok"
        noted = noted_sum(path)
        if noted is None:
            return "no checksum yet; the first run that uses it notes one"
        check_noted(path, noted, full)
    except UnsoundFile as error:
        return f"damaged: {error.problem}"
    return f"ok {noted.full}"


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise UnsoundFile(path, "does not exist; name a data file or a data root")
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        noted = {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}
        data = {name for name in names if name.endswith(DATA_SUFFIXES)}
        audits = {name for name in names if Path(folder).name == "audits" and name.endswith(".json")}
        yield from (Path(folder, name) for name in sorted(data | noted | audits))
