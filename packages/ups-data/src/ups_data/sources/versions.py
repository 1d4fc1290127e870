"""Versions of PDEBench's official files, told apart by the MD5 sums of its manifest.

The advection and Burgers files of 2022 had a flux without its factor 1/2: the data moved at twice the speed.
They were replaced in 2023 and 2024, so numbers of papers from before are about other data (PDEBench issues 46
and 51)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ups_core.reading import UnsoundFile, open_regular
from ups_data.sources.manifest import MD5

REPLACED = ("1D_Advection", "1D_Burgers")
"""Beginnings of the names of files of which there was another version."""


def other_version(path: Path, datafile: int) -> str | None:
    """What is to be said about a file that is not today's official one; None if it is.

    Reads the complete file.

    Args:
        path: the file.
        datafile: its DaRUS number.

    Raises:
        UnsoundFile: the file cannot be read.
    """
    expected = MD5.get(datafile)
    if expected is None:
        return None
    with open_regular(path.resolve()) as file:
        try:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        except OSError as error:
            raise UnsoundFile(path, f"cannot be read ({error.strerror})") from None
    if found == expected:
        return None
    meaning = (
        "it may be the one of 2022, whose data move at twice the speed; numbers of the two are not comparable"
        if path.name.startswith(REPLACED)
        else "it may be incomplete or a part of it"
    )
    return f"{path} is not today's official file (MD5 {found[:8]}…, not {expected[:8]}…): {meaning}"
