"""Tasks without a spec: a registered task from plain options, and its prepared data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ups_core import UsageError
from ups_core.component import validate_options
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_data.tasks.base import Task

if TYPE_CHECKING:
    from ups_data.prepare.opening import TaskData


def create_task(kind: str, options: Mapping[str, Any]) -> Task:
    """A registered task from plain options.

    Args:
        kind: the registered name, e.g. `advection1d`; also the name of the task.
        options: its options, as in a spec.

    Raises:
        UPSError: no such task is registered, or an option is wrong.
    """
    registry = registry_in_use()
    entry = registry.get("tasks", kind)
    try:
        config = validate_options(entry.load_config(), options, registry)
    except ValidationError as error:
        problems = (
            ": ".join([*map(str, problem["loc"]), problem["msg"].removeprefix("Value error, ")])
            for problem in error.errors()
        )
        raise UsageError(f"{kind}: {'; '.join(problems)}") from error
    task: Task = entry.create(config, name=kind)
    return task


def prepare_task(
    name: str, options: Mapping[str, Any], data_root: Path | str, console: Console | None = None
) -> TaskData:
    """A registered task's data: validate options, generate missing files, audit, open.

    Args:
        name: the registered task, e.g. `advection1d`.
        options: its options, as in a spec.
        data_root: where files are looked for and generated.
        console: where progress is shown; silent by default.

    Raises:
        UPSError: a wrong name or option, broken data, or a directory that cannot be written.
    """
    task = create_task(name, options)
    task.prepare_data(Path(data_root).expanduser(), console or Console(quiet=True))
    return task.open(Path(data_root).expanduser())
