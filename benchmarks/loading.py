"""How fast windows are read from files that are larger than what is kept in memory.

Files in the layout of PDEBench's compressible flows (2-D: 21 frames of 4 fields on 128 x 128 points; 3-D: 5
fields on 64 x 64 x 64) are read in random windows of five frames, as training reads them: by `ups_data`, with
0, 2 and 4 worker processes; by plain h5py, into one array for a batch, and slice by slice into nothing; and,
where it is installed (`pip install the_well`), by the dataset class of The Well from the same numbers in its
own format, in a torch DataLoader.

Usage: python benchmarks/loading.py [--dim 2] [--gigabytes 4.2] [--seconds 4] [--repeats 5] [--json]

`--chunks` reads smaller files in several chunk shapes and compressions in place of that.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

from ups_core.cpus import available_cores
from ups_data.batches.loader import MultiTaskLoader
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_data.batches.windows import Windows
from ups_data.info import Channel, TaskInfo
from ups_data.stores import file_store
from ups_data.stores.base import Fields
from ups_data.stores.file_store import FileStore
from ups_data.stores.layout_config import PDEBenchFieldsConfig, TheWellConfig
from ups_data.stores.part import Part
from ups_data.stores.pdebench_fields import PDEBenchFields
from ups_data.stores.well import TheWell

WINDOW, BATCH = 5, 16
FRAMES = 21
SHAPES = {2: (128, 128), 3: (64, 64, 64)}
CHUNKS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunk = frame": {"chunks": "frame"},
    "chunk = frame, lzf": {"chunks": "frame", "compression": "lzf"},
    "chunk = frame, gzip": {"chunks": "frame", "compression": "gzip"},
    "chunk = trajectory": {"chunks": "trajectory"},
    "chunk = trajectory, gzip": {"chunks": "trajectory", "compression": "gzip"},
    "chunk of h5py's choice": {"chunks": True},
}


def problem(dim: int) -> TaskInfo:
    """A compressible flow."""
    velocity = [Channel(f"V{'xyz'[axis]}", "1", "state", "V", (axis,)) for axis in range(dim)]
    return TaskInfo(
        name="flow",
        family="flow",
        kind="evolution",
        channels=(Channel("density", "1", "state"), Channel("pressure", "1", "state"), *velocity),
        parameters=(),
        boundary="periodic",
        domain=((0.0, 1.0),) * dim,
        shape=SHAPES[dim],
        dt=0.05,
        frames=FRAMES,
        history=1,
        invariants=(),
        symmetries=(),
        equation="",
    )


def blocks(info: TaskInfo, trajectories: int) -> Iterator[Fields]:
    """Smooth random fields: waves, so that they compress as data of a solver do."""
    random = np.random.default_rng(0)
    axes = np.meshgrid(*map(np.asarray, info.axes), indexing="ij")
    for _ in range(trajectories):
        frames = np.empty((1, info.frames, len(info.channels), *info.shape), dtype=np.float32)
        for channel in range(len(info.channels)):
            k, phase = random.integers(1, 9, size=info.dim), random.random() * 6
            wave = np.sin(2 * np.pi * sum(a * b for a, b in zip(k, axes, strict=True)) + phase)
            noise = random.standard_normal(info.shape)
            for frame in range(info.frames):
                frames[0, frame, channel] = wave * np.cos(frame / 9) + 1e-3 * noise + frame * 1e-3
        yield Fields(frames)


def write(path: Path, info: TaskInfo, trajectories: int, layout: Any) -> None:
    """Write a file and flush it, so that its pages can be dropped."""
    layout.write(path, info, {}, trajectories, blocks(info, trajectories))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rate(batches: Iterator[int], seconds: float) -> float:
    """Windows per second; the first batch, which opens files and starts workers, does not count."""
    next(batches)
    begin, count = time.perf_counter(), 0
    for windows in batches:
        count += windows
        if time.perf_counter() - begin > seconds:
            break
    return count / (time.perf_counter() - begin)


def by_us(windows: Windows, workers: int) -> Iterator[int]:
    """Batches of the training loader."""
    sampler = MultiTaskBatchSampler({"flow": len(windows)}, batch_size=BATCH, seed=os.getpid())
    loader = MultiTaskLoader({"flow": windows}, sampler, workers=workers)
    warnings.simplefilter("ignore")  # torch's about more workers than cores
    for epoch in range(100):
        loader.set_epoch(epoch)
        yield from (len(batch) for batch in loader)


def by_h5py(path: Path, info: TaskInfo, keep: bool = True) -> Iterator[int]:
    """Slices of every field of random windows.

    Args:
        path: the file.
        info: the problem.
        keep: assemble batches; else slices are read into small arrays that stay in the processor's cache.
    """
    random = np.random.default_rng()
    with h5py.File(path) as file:
        datasets = [file[channel.name] for channel in info.channels]
        while True:
            batch = np.empty((BATCH, WINDOW, len(datasets), *info.shape), dtype=np.float32)
            for number in range(BATCH):
                row = random.integers(len(datasets[0]))
                start = random.integers(FRAMES - WINDOW + 1)
                for channel, dataset in enumerate(datasets):
                    values = dataset[row, start : start + WINDOW]
                    if keep:
                        batch[number, :, channel] = values
            yield BATCH


def by_the_well(folder: Path, workers: int) -> Iterator[int]:
    """Batches of The Well's dataset class."""
    from the_well.data.datasets import WellDataset
    from torch.utils.data import DataLoader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about more workers than cores
        dataset = WellDataset(
            path=str(folder), well_split_name="train", n_steps_input=1, n_steps_output=WINDOW - 1
        )
        while True:
            loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers)
            yield from (len(sample["input_fields"]) for sample in loader)


def memory() -> float:
    """MB of this process that are not pages of files."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line)
    return int(line.split()[1]) / 1024


def compare(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All readers on one large file."""
    info = problem(args.dim)
    window_bytes = 4 * WINDOW * len(info.channels) * int(np.prod(info.shape))
    trajectories = int(args.gigabytes * 1e9 / window_bytes * WINDOW / FRAMES)
    ours, theirs = folder / "flow.hdf5", folder / "data" / "train" / "flow.hdf5"
    names = tuple(channel.name for channel in info.channels)
    layout = PDEBenchFields(PDEBenchFieldsConfig(fields=names))
    write(ours, info, trajectories, layout)
    windows = Windows(
        FileStore(info, [Part(layout.open(ours))]), range(trajectories), FRAMES - WINDOW + 1, WINDOW - 1
    )
    readers: dict[str, tuple[Path, Callable[[], Iterator[int]]]] = {
        "h5py": (ours, partial(by_h5py, ours, info)),
        "h5py, nothing kept": (ours, partial(by_h5py, ours, info, keep=False)),
    }
    for workers in (0, 2, 4):
        readers[f"ups_data, {workers} workers"] = ours, partial(by_us, windows, workers)
    try:
        import the_well.data  # noqa: F401

        theirs.parent.mkdir(parents=True)
        write(theirs, info, trajectories, TheWell(TheWellConfig()))
        for workers in (0, 2, 4):
            readers[f"the_well, {workers} workers"] = theirs, partial(by_the_well, folder, workers)
    except ImportError:
        pass
    rows: list[dict[str, Any]] = []
    before = memory()
    for cache in ("warm", "cold"):
        found: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(args.repeats):  # readers take turns, so that a busy moment hits all of them
            for name, (path, begin) in readers.items():
                if cache == "cold":
                    forget(path)
                elif not found[name]:
                    with path.open("rb") as file:
                        while file.read(2**24):
                            pass
                found[name].append(rate(begin(), args.seconds))
        for name, rates in found.items():
            rows.append(summary(f"{args.dim}-D", cache, name, rates, window_bytes))
    rows.append({"memory_before": before, "memory_after": memory(), "file_gb": ours.stat().st_size / 1e9})
    return rows


def summary(what: str, cache: str, name: str, rates: list[float], window_bytes: int) -> dict[str, Any]:
    """One line of the table."""
    return {
        "data": what,
        "cache": cache,
        "reader": name,
        "windows_per_s": round(median(rates), 1),
        "range": [round(min(rates), 1), round(max(rates), 1)],
        "mb_per_s": round(median(rates) * window_bytes / 1e6),
    }


def compare_chunks(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Our reader on files of the same numbers in several chunk shapes, read window by window."""
    info = problem(args.dim)
    file_store.MEMORY_LIMIT = 0  # small files, read as large ones are
    window_bytes = 4 * WINDOW * len(info.channels) * int(np.prod(info.shape))
    trajectories = 24 if args.dim == 2 else 4
    names = tuple(channel.name for channel in info.channels)
    layout = PDEBenchFields(PDEBenchFieldsConfig(fields=names))
    plain = folder / "plain.hdf5"
    write(plain, info, trajectories, layout)
    rows: list[dict[str, Any]] = []
    for name, options in CHUNKS.items():
        path = folder / f"{len(rows)}.hdf5"
        shapes = {"frame": (1, 1, *info.shape), "trajectory": (1, FRAMES, *info.shape)}
        with h5py.File(plain) as source, h5py.File(path, "w") as target:
            for key in source:
                chosen = dict(options) if key in names else {}
                chosen |= {"chunks": shapes.get(options["chunks"], True)} if "chunks" in chosen else {}
                target.create_dataset(key, data=source[key][()], **chosen)
        store = FileStore(info, [Part(layout.open(path))])
        windows = Windows(store, range(trajectories), FRAMES - WINDOW + 1, WINDOW - 1)
        for reader, begin in {
            "ups_data": partial(by_us, windows, 0),
            "h5py": partial(by_h5py, path, info),
        }.items():
            rates = [rate(begin(), args.seconds) for _ in range(args.repeats)]
            rows.append(summary(name, "warm", reader, rates, window_bytes))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dim", type=int, choices=SHAPES, default=2)
    parser.add_argument("--gigabytes", type=float, default=4.2, metavar="X")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S", help="of every measurement")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--chunks", action="store_true", help="compare chunk shapes")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        rows = (compare_chunks if args.chunks else compare)(args, Path(folder))
    if args.json:
        print(json.dumps({"cores": available_cores(), "rows": rows}, indent=2))
        return
    for row in rows:
        if "reader" not in row:
            print(
                f"memory {row['memory_before']:.0f} MB before, {row['memory_after']:.0f} MB after; "
                f"file {row['file_gb']:.1f} GB"
            )
            continue
        low, high = row["range"]
        print(
            f"{row['data']:26} {row['cache']:5} {row['reader']:22} {row['windows_per_s']:8.1f} windows/s "
            f"({low:.1f} to {high:.1f})  {row['mb_per_s']:6} MB/s"
        )


if __name__ == "__main__":
    main()
