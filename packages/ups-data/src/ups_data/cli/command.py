"""`ups data`: generate data files in the official layout, inspect and check data files."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ups_core import CommandConfig, UsageError
from ups_core.cli.options import user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_data.cli.check import check_data
from ups_data.sources.config import GenerateConfig
from ups_data.tasks.advection1d import ADVECTION
from ups_data.tasks.burgers1d import BURGERS
from ups_data.tasks.create import create_task
from ups_data.tasks.darcy2d import DARCY
from ups_data.tasks.pdebench import Family
from ups_data.tasks.sourced import SourcedTask

EXAMPLES = """examples:
  ups data generate advection1d --beta 0.4 --trajectories 1000 --out data
  ups data generate darcy2d --beta 1 --trajectories 100 --resolution 64 --out data
  ups data inspect data/1D_Advection_Sols_beta0.4.hdf5
  ups data inspect measured.npz
  ups data check data
"""


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


class DataCommand:
    """Generate data files in PDEBench's layout, inspect and check data files."""

    help = "generate data in the official layout, inspect and check data files"

    def __init__(self, config: CommandConfig) -> None:
        self.config = config

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare `generate`, `inspect` and `check`."""
        _set_epilog(parser, EXAMPLES)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        generate = actions.add_parser("generate", help="generate a data file in PDEBench's layout")
        _set_epilog(generate, EXAMPLES)
        tasks = generate.add_subparsers(dest="task", required=True, metavar="TASK")
        for name, entry in GENERATED.items():
            task = tasks.add_parser(name, help=f"a file like {entry.family.file((1.0,)).name}")
            _set_epilog(task, entry.epilog)
            _add_options(task, entry)
        inspect = actions.add_parser("inspect", help="show layout, shapes, attributes and values of a file")
        _set_epilog(inspect, "example:\n  ups data inspect data/1D_Advection_Sols_beta0.4.hdf5\n")
        inspect.add_argument(
            "file", type=user_path, metavar="FILE", help="an HDF5, numpy, MATLAB or torch file"
        )
        inspect.add_argument("--json", action="store_true", help="print the findings as JSON")
        check = actions.add_parser("check", help="compare data files and audits with their checksums")
        _set_epilog(check, "example:\n  ups data check data --full\n")
        check.add_argument(
            "paths", type=user_path, nargs="+", metavar="PATH", help="a data root, or data files"
        )
        check.add_argument(
            "--full", action="store_true", help="read files above 2 GB completely, not only 16 blocks of them"
        )

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Execute one action.

        Raises:
            UPSError: a wrong option, or a file that exists already, cannot be written or cannot be read.
        """
        if args.action == "check":
            return 1 if check_data(args.paths, args.full, console) else 0
        if args.action == "generate":
            _generate(args, console)
        else:
            _inspect(args)
        return 0


def _add_options(parser: argparse.ArgumentParser, entry: Generated) -> None:
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


def _set_epilog(parser: argparse.ArgumentParser, epilog: str) -> None:
    parser.epilog = epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _generate(args: argparse.Namespace, console: Console) -> None:
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


def _inspect(args: argparse.Namespace) -> None:
    from ups_data.cli.inspection import inspect_file, render

    findings = inspect_file(args.file)
    if args.json:
        print_json(findings)
    else:
        render(findings, sys.stdout)
