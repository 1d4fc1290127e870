"""`ups data fetch`: official files of PDEBench, verified by their checksums."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ups_core import UsageError
from ups_core.cli.options import add_data_root, data_root
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_data.cli.task_options import add_tasks, sourced_tasks, task_of
from ups_data.sources.fetching import check_published, fetch_files, size_text
from ups_data.sources.manifest import DATAFILE, DATASET, MD5
from ups_data.sources.official import find_official
from ups_data.sources.request import DataFile
from ups_data.tasks.pdebench import PDEBenchTask
from ups_data.tasks.sourced import SourcedTask

FETCH = f"""Official files of PDEBench ({DATASET}) are downloaded to their folders below the
data root, where tasks find them. An interrupted download continues where it ended; a file with another
checksum than the manifest's is refused. Above 2 GB the command asks, unless --yes is given.

examples:
  ups data fetch --dry-run
  ups data fetch darcy2d --beta 1.0 --yes
  ups data fetch burgers1d --nu 0.001 0.01 --dry-run
"""
WITHOUT = (
    "source",
    "split",
    "test",
    "history",
    "trajectories",
    "resolution",
    "frames",
    "time_stride",
)
"""Options that select from a file: the same file is fetched."""


def add_fetch(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for every problem with official files."""
    parser.epilog = FETCH
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_own(parser, "")
    found = [entry for entry, task in sourced_tasks() if _published(task)]
    tasks = add_tasks(parser, found, WITHOUT, _add_own)
    tasks.required = False


def _add_own(parser: argparse.ArgumentParser, task: str) -> None:
    # A default of a subcommand would replace what stands before its name, so only the command has defaults.
    if task:
        parser.epilog = FETCH
    unset = argparse.SUPPRESS if task else None
    add_data_root(parser, default=unset)
    for flag, meaning in (
        ("--yes", "do not ask, whatever the size"),
        ("--dry-run", "print files, sizes and checksums only"),
        ("--json", "print the files as JSON"),
    ):
        parser.add_argument(flag, action="store_true", default=unset, help=meaning)


def fetch(args: argparse.Namespace, console: Console) -> None:
    """Download the files of a task that are missing, or list files.

    Raises:
        UPSError: a wrong option, no consent, no room, or a server that fails.
    """
    root = data_root(args.data_root)
    if args.task is None:
        if not args.dry_run:
            raise UsageError("name a TASK, or list the files of all with --dry-run")
        files = [file for _, task in sourced_tasks() for file in _published(task)]
    else:
        task = task_of(args)
        assert isinstance(task, SourcedTask)
        files = list(task.request.files)
        check_published(task.request)
    if args.dry_run:
        _list(files, root, as_json=args.json)
        return
    missing = [file for file in files if find_official(file, root) is None]
    paths = [root / file.folder / file.name for file in missing]
    if missing:
        fetch_files(missing, paths, console, yes=args.yes, way_out="agree with --yes")
    if args.json:
        _list(files, root, as_json=True)
        return
    for file in files:
        state = "fetched" if file in missing else "already there"
        print(f"{find_official(file, root)}: {state}")


def _list(files: Sequence[DataFile], root: Path, *, as_json: bool) -> None:
    rows = []
    for file in files:
        there = find_official(file, root)
        rows.append(
            {
                "name": file.name,
                "folder": file.folder,
                "url": None if file.datafile is None else DATAFILE.format(file.datafile),
                "bytes": file.nbytes,
                "md5": None if file.datafile is None else MD5.get(file.datafile),
                "path": None if there is None else str(there),
            }
        )
    if as_json:
        print_json(rows)
        return
    width = max(len(f"{row['folder']}/{row['name']}") for row in rows)
    for row in rows:
        where = "there" if row["path"] else row["url"] or "not published"
        place = f"{row['folder']}/{row['name']}"
        size = f"about {size_text(float(str(row['bytes'])))}"
        print(f"{place:{width}}  {size:>14}  md5 {row['md5'] or 'unknown':32}  {where}")
    total = sum(file.nbytes for file, row in zip(files, rows, strict=True) if not row["path"])
    print(f"to fetch: about {size_text(total)}, to {root}")


def _published(task: SourcedTask) -> tuple[DataFile, ...]:
    return type(task).published_files() if isinstance(task, PDEBenchTask) else ()
