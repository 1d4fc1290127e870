"""Layouts write what their own readers read, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from problems import info_of
from ups_core import Component, UPSError
from ups_core.console import Console
from ups_data.info import Channel, TaskInfo
from ups_data.sources.request import DataFile, Generation, Request
from ups_data.sources.writing import write_file
from ups_data.stores.base import Fields
from ups_data.stores.file_store import FileStore
from ups_data.stores.part import Part

COUNT = 5
QUIET = Console(quiet=True)


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Random numbers, the same for trajectory i whatever the block."""
    size = (info.frames, len(info.channels), *info.shape)
    rows = [np.random.default_rng((seed, number)).standard_normal(size) for number in range(start, stop)]
    return Fields(np.stack(rows).astype(np.float32))


def request_of(info: TaskInfo, layout: str, options: Mapping[str, Any], **changes: Any) -> Request:
    generation = Generation(f"{__name__}:generate", version=1, block=2, **changes)
    kind = Component.of("layouts", layout, options)
    return Request("written", info, (DataFile("file.h5"),), kind, COUNT, generation=generation)


@pytest.mark.parametrize(
    ("layout", "options", "channels", "shape"),
    [
        ("pdebench_tensor", {}, 1, (8,)),
        ("pdebench_tensor", {}, 1, (4, 6)),
        ("pdebench_fields", {"fields": ["a", "b", "c"]}, 3, (4, 6)),
        ("pdebench_fields", {"fields": ["a", "b"]}, 2, (2, 3, 4)),
        ("pdebench_groups", {}, 1, (8,)),
        ("pdebench_groups", {}, 2, (4, 6)),
        ("pdebench_groups", {"axes": "yx"}, 2, (4, 6)),
        ("pdebench_groups", {"axes": "yx"}, 1, (2, 3, 4)),
    ],
)
def test_written_and_read(
    layout: str, options: dict[str, Any], channels: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    info = info_of(channels, shape)
    request = request_of(info, layout, options)
    path = tmp_path / "file.h5"
    write_file(request, request.files[0], 3, path, QUIET)
    store = FileStore(info, [Part(request.layout.create().open(path))], (), COUNT)
    every = np.arange(COUNT)
    expected = generate(info, {}, 3, 0, COUNT).frames
    assert np.array_equal(store.frames(every, np.zeros_like(every), info.frames), expected)
    with h5py.File(path) as file:
        datasets: list[h5py.Dataset] = []
        file.visititems(lambda _, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
        assert all(dataset.chunks is None for dataset in datasets), "contiguous"


def test_groups_have_no_place_for_given_fields(tmp_path: Path) -> None:
    channels = (Channel("a", "1", "coefficient"), Channel("u", "1", "state"))
    request = request_of(replace(info_of(1, (8,)), channels=channels), "pdebench_groups", {})
    with pytest.raises(UPSError, match=r"pdebench_groups has no place for the given fields .* \(a\)"):
        write_file(request, request.files[0], 0, tmp_path / "file.h5", QUIET)
    assert not list(tmp_path.iterdir())


def test_a_limit_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    request = request_of(info_of(1, (8,)), "pdebench_tensor", {}, limit="nu 2 is too large; use 1")
    with pytest.raises(UPSError, match=r"file.h5 cannot be generated: nu 2 is too large; use 1"):
        write_file(request, request.files[0], 0, tmp_path / "file.h5", QUIET)
    assert not list(tmp_path.iterdir())


def test_room_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    request = replace(request_of(info_of(1, (8,)), "pdebench_tensor", {}), trajectories=10**15)
    with pytest.raises(UPSError, match=r"has room for .* GB, but file.h5 needs 96000000\.0 GB; free some"):
        write_file(request, request.files[0], 0, tmp_path / "new" / "file.h5", QUIET)
    assert not list(tmp_path.iterdir())
