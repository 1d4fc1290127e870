"""`ups data generate`: data files of every problem that has a generator, in the official layout."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ups_core import UPSError, UsageError
from ups_core.cli.options import user_path
from ups_core.console import Console
from ups_data.cli.task_options import add_tasks, given_options, sourced_tasks
from ups_data.sources.config import GenerateConfig
from ups_data.tasks.create import create_task
from ups_data.tasks.pdebench import EvolutionConfig, PDEBenchTask
from ups_data.tasks.sourced import SourcedTask

EPILOG = """The file has the name and the layout of the official one, if there is one; the default grid and
frames are the official ones, too. docs/data.md says what is generated, and how accurately.

examples:
  ups data generate {task} --trajectories 10 --out data
  ups data generate {task} --trajectories 10 --resolution 32 --out data
"""
WITHOUT = ("source", "split", "test", "history", "trajectories")
TRAJECTORIES = 1000
"""Default of `--trajectories`."""


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for every problem that has a generator."""
    found = [(entry, task) for entry, task in sourced_tasks() if task.request.generation is not None]
    defaults = {entry.name: _official(task) for entry, task in found}
    add_tasks(parser, [entry for entry, _ in found], WITHOUT, _add_own, defaults)


def _add_own(parser: argparse.ArgumentParser, task: str) -> None:
    parser.epilog = EPILOG.format(task=task)
    parser.add_argument(
        "--out", type=user_path, required=True, metavar="DIR", help="directory to write the files to"
    )
    parser.add_argument(
        "--trajectories", type=int, default=TRAJECTORIES, metavar="N", help=f"default: {TRAJECTORIES}"
    )
    seed = GenerateConfig().seed
    parser.add_argument(
        "--seed", type=int, default=seed, metavar="N", help=f"seed of the initial states; default: {seed}"
    )


def generate(args: argparse.Namespace, console: Console) -> None:
    """Write the files of a task, one for each set of parameter values.

    Raises:
        UPSError: a wrong option, no room, or a file that exists already or cannot be written.
    """
    from ups_data.sources.writing import write_file  # `ups data --help` must not import numpy

    if args.trajectories < 1:
        raise UsageError(f"--trajectories is {args.trajectories}; a file needs one or more")
    # A task's trajectories are split, so it asks for ten; a file may have fewer.
    request = replace(_task(args).request, trajectories=args.trajectories)
    if request.generation is not None and request.generation.limit:
        raise UsageError(f"{args.task} cannot be generated: {request.generation.limit}")
    paths = [args.out / file.name for file in request.files]
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} already exists; choose another --out or remove the file")
    for wanted, path in zip(request.files, paths, strict=True):
        begin = time.perf_counter()
        write_file(request, wanted, args.seed, path, console)
        seconds = time.perf_counter() - begin
        shape = (request.trajectories, request.info.frames, *request.info.shape)
        rate = request.trajectories / seconds
        print(f"{path}: {shape} in {seconds:.2f} s, {rate:.{0 if rate >= 10 else 2}f} trajectories/s")


def _task(args: argparse.Namespace) -> SourcedTask:
    given = given_options(args)
    source = {"source": {"kind": "generate", "seed": args.seed}}
    task = _create(args.task, given | source)
    return _create(args.task, _official(task) | given | source)


def _create(kind: str, options: Mapping[str, Any]) -> SourcedTask:
    task = create_task(kind, options)
    if not isinstance(task, SourcedTask):
        raise UPSError(f"task '{kind}' has no files that could be generated")
    return task


def _official(task: SourcedTask) -> dict[str, Any]:
    """The grid and the frames of the official files, of which a spec's default is a coarser part."""
    if not isinstance(task, PDEBenchTask):
        return {}
    family = task.family
    official: dict[str, Any] = {"resolution": family.native[0]}
    if isinstance(task.config, EvolutionConfig):
        official |= {"frames": family.frames, "time_stride": 1}
    return official
