"""`ups data generate`: data files of PDEBench's problems in its layout."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ups_core import UsageError
from ups_core.cli.options import user_path
from ups_core.console import Console
from ups_data.sources.config import GenerateConfig
from ups_data.tasks.advection1d import ADVECTION
from ups_data.tasks.burgers1d import BURGERS
from ups_data.tasks.create import create_task
from ups_data.tasks.darcy2d import DARCY
from ups_data.tasks.pdebench import Family
from ups_data.tasks.sourced import SourcedTask


@dataclass(frozen=True)
class Generated:
    """What `ups data generate` says about one family.

    Attributes:
        option: name of the option of the parameter.
        default: its default.
        meaning: what the parameter is.
        epilog: end of the help text.
    """

    family: Family
    option: str
    default: float
    meaning: str
    epilog: str


GENERATED = {
    entry.family.name: entry
    for entry in (
        Generated(
            ADVECTION,
            "beta",
            0.4,
            "advection speed",
            """The file has PDEBench's name and layout: tensor (trajectory, time, x), coordinates,
attribute beta. PDEBench published 201 frames 0.01 apart on 1024 points.

examples:
  ups data generate advection1d --out data
  ups data generate advection1d --resolution 256 --frames 41 --time-stride 5 --out data
""",
        ),
        Generated(
            BURGERS,
            "nu",
            0.01,
            "viscosity",
            """The file has PDEBench's name and layout: tensor (trajectory, time, x), coordinates,
attribute Nu. PDEBench published 201 frames 0.01 apart on 1024 points. The generated
solutions are exact at the points.

examples:
  ups data generate burgers1d --nu 0.01 --out data
  ups data generate burgers1d --nu 0.001 --resolution 256 --frames 41 --time-stride 5 --out data
""",
        ),
        Generated(
            DARCY,
            "beta",
            1.0,
            "constant source",
            """The file has PDEBench's name and layout: nu (sample, x, y), tensor (sample, 1, x, y),
coordinates, attribute beta. The solution is steady; the published files contain a
transient state.

examples:
  ups data generate darcy2d --trajectories 100 --out data
  ups data generate darcy2d --beta 0.1 --resolution 64 --out data
""",
        ),
    )
}
"""Task -> its help."""


def add_options(parser: argparse.ArgumentParser, entry: Generated) -> None:
    """Declare the options of one family."""

    def number(flag: str, default: int, what: str) -> None:
        parser.add_argument(flag, type=int, default=default, metavar="N", help=f"{what}; default: {default}")

    native = entry.family.native[0]
    parser.add_argument(
        "--out", type=user_path, required=True, metavar="DIR", help="directory to write the file to"
    )
    parser.add_argument(
        f"--{entry.option}",
        dest="value",
        type=float,
        default=entry.default,
        metavar="X",
        help=f"{entry.meaning}; default: {entry.default}",
    )
    number("--trajectories", 1000, "number of trajectories")
    number("--resolution", native, f"grid points along each axis, a divisor of {native}")
    if entry.family.dt:
        number("--frames", entry.family.frames, "number of frames, the first one at t = 0")
        number("--time-stride", 1, "raw frames of 0.01 from one frame to the next")
    number("--seed", GenerateConfig().seed, "seed of the random initial conditions or media")


def generate(args: argparse.Namespace, console: Console) -> None:
    """Write one file.

    Raises:
        UPSError: a wrong option, or a file that exists already or cannot be written.
    """
    from ups_data.sources.writing import write_file  # `ups --help` must not import numpy

    if args.trajectories < 1:
        raise UsageError(f"--trajectories is {args.trajectories}; a file needs one or more")
    # A task's trajectories are split, so it asks for ten; a file may have fewer.
    request = replace(_task(args).request, trajectories=args.trajectories)
    wanted = request.files[0]
    path: Path = args.out / wanted.name
    if path.exists():
        raise UsageError(f"{path} already exists; choose another --out or remove the file")
    begin = time.perf_counter()
    write_file(request, wanted, args.seed, path, console)
    seconds = time.perf_counter() - begin
    shape = (request.trajectories, request.info.frames, *request.info.shape)
    print(f"{path}: {shape} in {seconds:.2f} s, {request.trajectories / seconds:.0f} trajectories/s")


def _task(args: argparse.Namespace) -> SourcedTask:
    options: dict[str, Any] = {"resolution": args.resolution}
    name = GENERATED[args.task].option
    if args.task == DARCY.name:
        options |= {name: args.value}
    else:
        options |= {name: [args.value], "frames": args.frames, "time_stride": args.time_stride}
    options["source"] = {"kind": "generate", "seed": args.seed}
    task = create_task(args.task, options)
    assert isinstance(task, SourcedTask)
    return task
