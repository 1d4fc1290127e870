"""`ups data new`: a complete spec for own files, in which every guess has its reason beside it."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ups_core.errors import printable
from ups_core.scalars import resolve_scalar
from ups_core.validate import BLANK
from ups_data.cli.new_tasks import NewTask, Option

WIDTH = 110
"""Columns of a spec."""
FNO_CELLS = 32
"""Points along an axis below which the default modes of the baseline `fno` may be too many."""
PATCHES = {1: 2, 2: 4, 3: 4}
"""Dimension -> the latent operator's default `patch`."""
COARSEST = 8
"""Points along an axis that its coarsest grid should have: 2 made it worse than a Fourier neural operator."""
PLAIN = re.compile(r"[A-Za-z_./~][\w./~-]*")
"""Text that YAML reads as itself, also inside brackets."""


def spec_text(task: NewTask, name: str, file: str) -> str:
    """A spec with one task.

    Args:
        task: the task.
        name: of the run and of the task.
        file: how commands name the spec.
    """
    head = [
        f"# Own data, by `ups data new`; every guess has its reason beside it{_todo(len(task.blanks))}",
        "#",
        f"#   ups validate {file}      mistakes and blanks that are not filled in",
        f"#   ups data check {file}    whether the data have defects",
        f"#   ups-run {file}           train, evaluate, compare, report",
        "version: 1",
        f"name: {name}",
        "seed: 0",
        "tasks:",
        f"  {name}:",
    ]
    body = [line for option in task.options for line in _lines(option)]
    return "\n".join([*head, *body, *_pipeline(task)]) + "\n"


def name_of(path: Path) -> str:
    """A name for the run and its task after a file."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_-")[:60]
    return (
        name
        if name and name != "kind" and isinstance(resolve_scalar(name), str)
        else f"task_{name}".rstrip("_")
    )


def _todo(blanks: int) -> str:
    if not blanks:
        return "."
    what = "the line that has" if blanks == 1 else f"the {blanks} lines that have"
    return f".\n# Fill in {what} {BLANK}."


def _lines(option: Option) -> Iterator[str]:
    """A line of a task with its reason behind it, or above it where the line would be too long."""
    line = f"    {option.key}: {_yaml(option.value)}"
    why = printable(option.why)
    if not why:
        yield line
    elif len(line) + len(why) + 4 <= WIDTH:
        yield f"{line} # {why}"
    else:
        yield from (f"    # {part}" for part in textwrap.wrap(why, WIDTH - 6, break_on_hyphens=False))
        yield line


def _yaml(value: Any, inside: bool = False) -> str:
    """A value in YAML's flow style; a blank stays as it is."""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_yaml(key, True)}: {_yaml(item, True)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item, True) for item in value) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if value == BLANK and not inside:
        return value
    plain = PLAIN.fullmatch(value) and isinstance(resolve_scalar(value), str)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _pipeline(task: NewTask) -> list[str]:
    steady = task.steady
    baseline = "mean" if steady else "persistence"
    few = task.cells is not None and task.cells < FNO_CELLS
    fno = f"{{kind: fno, modes: {max(1, min(12, (task.cells or 2) // 2))}}}" if few else "fno"
    why = "the mean solution" if steady else "the last given frame"
    pushforward = (
        []
        if steady
        else [
            "    pushforward: 1 # at most one step on the model's own output before the one that is learned"
        ]
    )
    return [
        "model:",
        "  kind: latent_operator",
        *_patch(task),
        "trackers:",
        "  - kind: csv",
        "pipeline:",
        "  - stage: operator",
        "    batch_size: 8",
        "    max_steps: 500 # a first look, in minutes; some thousands for good results",
        *pushforward,
        "    validate_every: 100",
        "  - evaluate: rollout",
        "    id: test",
        "    split: test",
        f"    # {baseline}: {why}; fno is trained like the model",
        f"    baselines: [{baseline}, {fno}]",
        "  - evaluate: report",
    ]


def _patch(task: NewTask) -> list[str]:
    """Smaller blocks for a grid that the default ones would make too coarse."""
    if task.cells is None or task.dim is None:
        return []
    patch = default = PATCHES[task.dim]
    while patch > 1 and task.cells < 2 * patch * COARSEST:  # the coarsest grid joins 2 blocks
        patch //= 2
    if patch == default:
        return []
    left = task.cells // (2 * default)
    return [
        f"  patch: {{{task.dim}: {patch}}} # the default, {default}, leaves {left} of {task.cells} points"
        " on the coarsest grid"
    ]
