"""Finds the files that a spec names: paths and globs below the data root, and parameters in their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ups_core import UPSError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
MAGIC = re.compile(r"[*?\[]")
FIELD = re.compile(r"\{(\w+)\}")


def find_files(given: Sequence[str], data_root: Path) -> tuple[Path, ...]:
    """The files of paths and globs, those of a glob in the order of their names.

    Args:
        given: absolute paths, or paths from the data root; `~` is the home directory.
        data_root: where relative paths start.

    Raises:
        UPSError: a file is not there, or a glob matches nothing.
    """
    found: list[Path] = []
    for text in given:
        place = data_root / Path(text).expanduser()
        if MAGIC.search(text) and not place.exists():
            anchor = Path(place.anchor) if place.is_absolute() else Path()
            matches = sorted(anchor.glob(str(place.relative_to(anchor) if place.is_absolute() else place)))
            matches = [match for match in matches if not match.name.endswith(".sum.json")]
            if not matches:
                raise UPSError(f"no file matches {place}; relative paths start at the data root {data_root}")
            found += matches
        elif place.exists():
            found.append(place)
        else:
            hint = f"; {Path(text)} is here, so give its absolute path" if Path(text).exists() else ""
            raise UPSError(
                f"{place} does not exist; relative paths start at the data root {data_root}, "
                f"see --data-root{hint}"
            )
    if twice := next((path for number, path in enumerate(found) if path in found[:number]), None):
        raise UPSError(f"{twice} is named twice; name every file once")
    return tuple(found)


def numbers_in_name(pattern: str, path: Path) -> dict[str, float]:
    """Parameters in the name of a file.

    Args:
        pattern: a part of the name, with `{NAME}` for a number: `nu{nu}_re{re}`.
        path: the file.

    Raises:
        UPSError: the name does not have this part.
    """
    names = FIELD.findall(pattern)
    parts = [re.escape(part) for part in FIELD.split(pattern)[::2]]
    expression = parts[0] + "".join(f"({NUMBER}){part}" for part in parts[1:])
    match = re.search(expression, path.name)
    if match is None:
        raise UPSError(f"the name of {path} does not have the form '{pattern}' of file_pattern; correct one")
    # The ending is not a part of the number: nu0.1.npz has 0.1, not 0.1. or 0.
    return {name: float(text.rstrip(".")) for name, text in zip(names, match.groups(), strict=True)}
