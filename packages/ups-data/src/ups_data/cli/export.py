"""`ups data export`: data of any task in files that other loaders read."""

from __future__ import annotations

import argparse
from pathlib import Path

from ups_core import UPSError, UsageError
from ups_core.cli.options import add_data_root, add_overrides, data_root, user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_core.mistakes import did_you_mean
from ups_core.plugin_loader import registry_in_use
from ups_core.validate import load_spec
from ups_data.cli.task_options import add_tasks, task_of
from ups_data.tasks.base import Task

EXPORT = """formats:
  the_well   folders train, valid and test with the fields, boundaries and parameters of The Well, stats.yaml
  pdebench   one file for every set of parameter values, with all trajectories, in PDEBench's layout
  npz        train.npz, val.npz and test.npz with an array for every field, parameter and coordinate

Data are generated if they are missing, checked, and split as a run would split them. The folder must
not exist; it appears when everything is written.

examples:
  ups data export burgers1d --trajectories 100 --format the_well -o burgers
  ups data export darcy2d --resolution 32 --format npz -o darcy
  ups data export spec specs/pdebench_2task.yaml --task darcy2d --format pdebench -o darcy
"""
FORMATS = ("the_well", "pdebench", "npz")
SPEC = "spec"
"""The subcommand for tasks of a spec."""


def add_export(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for every task, and one for the tasks of a spec."""
    parser.epilog = EXPORT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    tasks = add_tasks(parser, registry_in_use().entries("tasks"), (), _add_own)
    spec = tasks.add_parser(SPEC, help="a task of a spec")
    spec.formatter_class = argparse.RawDescriptionHelpFormatter
    spec.add_argument("spec", type=user_path, metavar="SPEC", help="a spec")
    spec.add_argument("--task", dest="name", metavar="NAME", help="which of its tasks, if it has several")
    add_overrides(spec)
    _add_own(spec, SPEC)


def _add_own(parser: argparse.ArgumentParser, task: str) -> None:
    parser.epilog = EXPORT
    parser.add_argument("--format", choices=FORMATS, required=True, help="see below")
    parser.add_argument(
        "-o", "--out", type=user_path, required=True, metavar="DIR", help="new folder to write"
    )
    add_data_root(parser)
    parser.add_argument("--json", action="store_true", help="print the files as JSON")


def export_task(args: argparse.Namespace, console: Console) -> None:
    """Export one task.

    Raises:
        UPSError: a wrong option, a folder that exists, no room, or data that the format has no place for.
    """
    from ups_data.export.export import check_folder, export  # `ups data --help` must not import numpy

    check_folder(args.out)
    task = _task_of_spec(args) if args.task == SPEC else task_of(args)
    root = data_root(args.data_root)
    written = export(task, args.format, args.out, root, console)
    if args.json:
        print_json([{"path": str(path), "trajectories": count} for path, count in written])
        return
    for path, count in written:
        print(f"{path}: {count} trajectories")


def _task_of_spec(args: argparse.Namespace) -> Task:
    spec, _ = load_spec(Path(args.spec), args.overrides)
    name = args.name
    if name is None:
        if len(spec.tasks) > 1:
            raise UsageError(f"{args.spec} has the tasks {', '.join(spec.tasks)}; choose one with --task")
        name = next(iter(spec.tasks))
    if name not in spec.tasks:
        raise UsageError(f"{args.spec} has no task '{name}'{did_you_mean(name, list(spec.tasks))}")
    task = spec.tasks[name].create(name=name)
    if not isinstance(task, Task):
        raise UPSError(f"task '{name}' is of another package and cannot be exported")
    return task
