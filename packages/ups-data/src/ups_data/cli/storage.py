"""What `ups data inspect` says about how a file is stored, and `ups data repack`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import h5py

from ups_core.console import Console
from ups_data.cli.layouts import Recognised
from ups_data.stores.storage import repack, slow_storage


def slow_datasets(datasets: Mapping[str, h5py.Dataset], recognised: Recognised | None) -> dict[str, str]:
    """Dataset -> why its windows are read slowly, for those of which they are.

    Args:
        datasets: all of a file.
        recognised: the file by its layout, which tells the axes of time; None if it has none.
    """
    found = {}
    for key, dataset in datasets.items():
        leading = None if recognised is None else _leading(key, dataset, recognised)
        if problem := slow_storage(dataset, leading):
            found[key] = problem
    return found


def _leading(key: str, dataset: h5py.Dataset, recognised: Recognised) -> tuple[str, ...]:
    """What the first axes of a dataset of a layout are."""
    if recognised.layout == "pdebench_groups":
        return ("time",)
    if recognised.layout == "the_well":
        flags = (("trajectory", "sample_varying"), ("time", "time_varying"))
        return tuple(name for name, flag in flags if bool(dataset.attrs.get(flag, True)))
    given = dataset.ndim < 2 + len(recognised.file.head.axes)
    return ("trajectory",) if given else ("trajectory", "time")


def run_repack(args: argparse.Namespace, console: Console) -> None:
    """Write a file again with contiguous datasets.

    Raises:
        UPSError: see :func:`~ups_data.stores.storage.repack`.
    """
    begin = time.perf_counter()
    repack(args.file, args.out, console)
    size = args.out.stat().st_size / 1e6
    print(f"{args.out}: {size:.1f} MB in {time.perf_counter() - begin:.1f} s")
