"""Names that people give: what is allowed, and the keys that are made of them.

A name becomes part of directories, metric keys, HDF5 paths, `--set` paths and attributes of modules. What is
allowed here is safe in all of them, so it is checked before anything is computed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from ups_core.errors import UPSError, printable, truncated

RUN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Name of a run: the beginning of a directory's name."""
STEP = r"^[a-z0-9][a-z0-9_-]{0,63}$"
"""Id of a step: a directory, and the first part of metric keys."""
TASK = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Name of a task: a part of metric keys and, because of `--set`, without dots."""
FIELD = r"^\w[\w-]{0,63}$"
"""Name of a channel or of a PDE parameter; letters of all alphabets."""
COMPONENT = r"^(?=.{1,64}$)[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$"
"""Name of a registered component: `something`, of third parties `yourname/something`."""
DISTRIBUTION = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
"""Name of a pip package (PEP 508)."""
VERSION = r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$"
"""Version of a pip package (PEP 440), without what a shell would interpret."""
LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
"""Text on one line without control characters."""

WORD = r"^[^\s\u0000-\u001f\u007f-\u009f]+$"
"""Text without spaces and control characters."""
KEY = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
"""Name of an option of another program, such as sbatch."""

DESCRIPTIONS = {
    RUN: "at most 64 letters, digits, '_', '.' and '-', the first a letter or digit",
    STEP: "at most 64 lower-case letters, digits, '_' and '-', the first a letter or digit",
    TASK: "at most 64 letters, digits, '_' and '-', the first a letter or digit",
    FIELD: "at most 64 letters, digits, '_' and '-', the first a letter, digit or '_'",
    COMPONENT: "at most 64 letters, digits, '_', '.', '-' and '/' between parts, such as yourname/something",
    LINE: "one line without control characters",
    WORD: "text without spaces and control characters",
    KEY: "the name of an option: letters, digits, '_' and '-'",
}
"""Pattern -> the same in words."""


def fits(pattern: str, name: object) -> bool:
    """Whether a name is text of this pattern."""
    return isinstance(name, str) and re.fullmatch(pattern.removesuffix("$"), name) is not None


def check_names(what: str, names: Sequence[str], pattern: str = FIELD) -> None:
    """Check names that are given in code, such as those of a task's channels.

    Raises:
        UPSError: one is not of the pattern, or is given twice.
    """
    for name in names:
        if not fits(pattern, name):
            given = printable(truncated(repr(name)))
            raise UPSError(f"{what} {given}: expected a name of {DESCRIPTIONS[pattern]}")
        if list(names).count(name) > 1:
            raise UPSError(f"{what} '{name}' is named twice; rename one")


def step_id(component: str) -> str:
    """The id of a step whose spec gives none: `You/net.v2` -> `you-net-v2`."""
    return re.sub(r"[^a-z0-9_-]", "-", component.lower())


def metric_key(metric: str) -> str:
    """A metric's name as the last part of a metric key: `you/worst` -> `you-worst`."""
    return metric.replace("/", "-")


def encoded(name: str) -> str:
    """A name as one key without slashes and dots, different for different names; :func:`decoded` inverts it.

    Names of :data:`STEP` and :data:`TASK` stay as they are.
    """
    return quote(name, safe=" ()").replace(".", "%2E")


def decoded(key: str) -> str:
    """The name that :func:`encoded` made the key of."""
    return unquote(key)
