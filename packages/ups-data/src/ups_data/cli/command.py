"""`ups data`: make specs for own files; generate, download, export, inspect, repack and check data."""

from __future__ import annotations

import argparse
import sys

from ups_core import CommandConfig, UsageError
from ups_core.cli.options import add_data_root, add_overrides, data_root, user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_data.cli.export import add_export, export_task
from ups_data.cli.fetch import add_fetch, fetch
from ups_data.cli.generation import add_generate, generate
from ups_data.cli.storage import run_repack

EXAMPLES = """examples:
  ups data new measured.npz -o measured.yaml
  ups data check measured.yaml
  ups data inspect measured.npz --plot measured.png
  ups data generate advection1d --beta 0.4 --trajectories 1000 --out data
  ups data fetch darcy2d --beta 1.0
  ups data export burgers1d --trajectories 100 --format the_well -o burgers
  ups data repack measured.h5 -o fast.h5
  ups data check data
"""
NEW = """The spec is complete: a task with these files, a model, training, evaluation, a report. Every guess
about the files has its reason in a comment beside it. What the files do not tell is left as ???, which
`ups validate` refuses until it is filled in.

examples:
  ups data new measured.npz
  ups data new run1.npz run2.npz run3.npz -o runs.yaml
  ups data new --train train.pt --test test.pt -o darcy.yaml
"""
INSPECT = """examples:
  ups data inspect data/1D_Advection_Sols_beta0.4.hdf5
  ups data inspect measured.npz --plot measured.png
"""
REPACK = """The new file has the same numbers, contiguous and not compressed: windows of it are read as fast
as the disk allows. `ups data inspect FILE` says whether a file is worth it.

examples:
  ups data repack measured.h5 -o fast.h5
"""
CHECK = """A PATH that ends in .yaml or .yml is a spec. The data of its tasks are read once: sizes of splits,
repeats between splits, NaN and infinite values, constant channels, jumps in time, ranges of channels and
parameters. Data that the spec generates are generated if they are missing, as by ups-run. Of any other
PATH, data files and audits are compared with their checksums.

exit codes:
  0  no defects
  1  a file is damaged, or data have defects: more than 5 % repeats, NaN or infinite values, a constant
     channel, an empty split
  2  a spec or the command is wrong

examples:
  ups data check measured.yaml
  ups data check data --full
"""


class DataCommand:
    """Make specs for own data files; generate, download, export, inspect, repack and check data."""

    help = "make specs for own data; generate, download, export, inspect, repack and check data"

    def __init__(self, config: CommandConfig) -> None:
        self.config = config

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions."""
        _set_epilog(parser, EXAMPLES)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        _add_new(actions.add_parser("new", help="print a complete spec for own data files"))
        making = actions.add_parser("generate", help="generate data files in the official layout")
        _set_epilog(making, EXAMPLES)
        add_generate(making)
        fetching = actions.add_parser("fetch", help="download official files of PDEBench")
        add_fetch(fetching)
        add_export(actions.add_parser("export", help="write data of a task for other loaders"))
        inspect = actions.add_parser("inspect", help="show layout, shapes, attributes and values of a file")
        _add_inspect(inspect)
        repacking = actions.add_parser("repack", help="store a file so that windows are read fast")
        _set_epilog(repacking, REPACK)
        repacking.add_argument("file", type=user_path, metavar="FILE", help="an HDF5 file")
        repacking.add_argument("-o", "--out", type=user_path, required=True, metavar="NEW", help="new file")
        check = actions.add_parser("check", help="audit the data of specs, compare files with checksums")
        _add_check(check)

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Execute one action.

        Raises:
            UPSError: a wrong option, or a file that exists already, cannot be written or cannot be read.
        """
        if args.action == "check":
            return _check(args, console)
        if args.action == "generate":
            generate(args, console)
        elif args.action == "fetch":
            fetch(args, console)
        elif args.action == "repack":
            run_repack(args, console)
        elif args.action == "export":
            export_task(args, console)
        elif args.action == "new":
            _new(args)
        else:
            _inspect(args, console)
        return 0


def _add_new(parser: argparse.ArgumentParser) -> None:
    _set_epilog(parser, NEW)
    formats = ".npy, .npz, .mat, .pt, HDF5, netCDF or zarr"
    parser.add_argument("files", type=user_path, nargs="*", metavar="FILE", help=f"files to split: {formats}")
    for split, meaning in (
        ("train", "learn from"),
        ("val", "select weights with (default: a share of the training data)"),
        ("test", "report numbers of"),
    ):
        parser.add_argument(
            f"--{split}", type=user_path, nargs="+", default=[], metavar="FILE", help=f"files to {meaning}"
        )
    parser.add_argument(
        "-o", "--out", type=user_path, metavar="SPEC", help="file to write (default: print the spec)"
    )
    add_data_root(parser)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    _set_epilog(parser, INSPECT)
    parser.add_argument(
        "file", type=user_path, metavar="FILE", help="an HDF5, numpy, MATLAB, torch, netCDF or zarr file"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--plot",
        type=user_path,
        metavar="PNG",
        help="draw the first, middle and last frame of up to three trajectories",
    )


def _add_check(parser: argparse.ArgumentParser) -> None:
    _set_epilog(parser, CHECK)
    parser.add_argument(
        "paths", type=user_path, nargs="+", metavar="PATH", help="specs, data roots or data files"
    )
    parser.add_argument(
        "--full", action="store_true", help="read files above 2 GB completely, not only 16 blocks of them"
    )
    add_overrides(parser)
    add_data_root(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def _set_epilog(parser: argparse.ArgumentParser, epilog: str) -> None:
    parser.epilog = epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _new(args: argparse.Namespace) -> None:
    if bool(args.files) == bool(args.train or args.val or args.test):
        raise UsageError("name files to split, or files with --train and --test; one or the other")
    if not args.files and not (args.train and args.test):
        raise UsageError("--train and --test belong together; name files for both")
    if args.out and args.out.exists():
        raise UsageError(f"{args.out} already exists; choose another -o or remove the file")
    from ups_data.cli.new_spec import name_of, spec_text  # `ups --help` must not import numpy
    from ups_data.cli.new_tasks import Sources, new_task

    sources = Sources(tuple(args.files), tuple(args.train), tuple(args.val), tuple(args.test))
    task = new_task(sources, data_root(args.data_root))
    name = name_of(args.out or sources.all[0])
    text = spec_text(task, name, str(args.out or f"{name}.yaml"))
    if not args.out:
        print(text, end="")
        return
    with args.out.open("x", encoding="utf-8") as file:
        file.write(text)
    todo = f"; fill in {' and '.join(task.blanks)}, then: ups validate {args.out}" if task.blanks else ""
    print(f"{args.out}: task '{name}'{todo}")


def _check(args: argparse.Namespace, console: Console) -> int:
    from ups_data.cli.check import check_files, print_outcomes
    from ups_data.cli.spec_check_text import render_audit

    specs = [path for path in args.paths if path.suffix.lower() in (".yaml", ".yml")]
    if args.overrides and not specs:
        raise UsageError("--set changes a spec, but no PATH is one; name a .yaml file")
    outcomes = check_files([path for path in args.paths if path not in specs], args.full, console)
    audits = []
    if specs:
        from ups_data.cli.spec_check import audit_spec  # needs numpy

        audits = [audit_spec(path, args.overrides, data_root(args.data_root), console) for path in specs]
    if args.json:
        print_json({"files": {str(path): outcome for path, outcome in outcomes.items()}, "specs": audits})
    else:
        print_outcomes(outcomes)
        for audit in audits:
            render_audit(audit, sys.stdout)
    damaged = any(outcome.startswith("damaged") for outcome in outcomes.values())
    return 1 if damaged or any(audit["defects"] for audit in audits) else 0


def _inspect(args: argparse.Namespace, console: Console) -> None:
    from ups_data.cli.inspection import inspect_file
    from ups_data.cli.inspection_text import render

    if args.plot:
        from ups_data.cli.picture import check_target

        check_target(args.plot)
    findings = inspect_file(args.file)
    if args.json:
        print_json(findings)
    else:
        render(findings, sys.stdout)
    if args.plot:
        from ups_data.cli.picture import plot_file

        plot_file(args.file, args.plot)
        console.say(f"picture: {args.plot}")
