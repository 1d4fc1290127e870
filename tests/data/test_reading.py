"""What makes reading fast changes no number: memory that is used again, and data that are fetched ahead."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from ups_core import UPSError
from ups_data.info import Channel, TaskInfo
from ups_data.stores import file_store, recycled
from ups_data.stores.file_store import FileStore
from ups_data.stores.layout_config import PDEBenchFieldsConfig
from ups_data.stores.part import Part
from ups_data.stores.pdebench_fields import PDEBenchFields
from ups_data.stores.read_ahead import SUPPORTED, ReadAhead
from ups_data.stores.recycled import KEPT, Recycled


def test_memory_is_used_again_when_nobody_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycled, "LARGE", 0)
    arrays = Recycled()
    first = arrays.empty((4, 5))
    place = first.ctypes.data
    del first
    again = arrays.empty((4, 5))
    assert again.ctypes.data == place
    tensor = torch.from_numpy(again)[1:, 2:]
    del again
    assert arrays.empty((4, 5)).ctypes.data != place, "a view of a tensor still has it"
    view = tensor.numpy()[0]
    del tensor
    assert arrays.empty((4, 5)).ctypes.data != place, "an array of a tensor still has it"
    del view
    assert arrays.empty((4, 5)).ctypes.data == place


def test_memory_in_use_is_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycled, "LARGE", 0)
    arrays = Recycled()
    held = [arrays.empty((3,)) for _ in range(3 * KEPT)]
    for number, array in enumerate(held):
        array[:] = number
    assert [int(array[0]) for array in held] == list(range(3 * KEPT))
    assert arrays.empty((2, 2)).shape == (2, 2)
    assert copy.copy(arrays).empty((2, 2)) is not arrays.empty((2, 2)), "a copy, as of another process"


def test_small_arrays_are_new() -> None:
    arrays = Recycled()
    arrays.empty((8,))
    assert not arrays.__dict__["_arrays"]


@pytest.mark.skipif(not SUPPORTED, reason="the system cannot be asked")
@pytest.mark.parametrize("chunks", [None, (1, 2, 8)])
def test_frames_are_fetched_from_where_they_are(
    chunks: tuple[int, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 8)).astype(np.float32)
    path = tmp_path / "fields.h5"
    with h5py.File(path, "w") as file:
        for key in ("a", "b"):
            file.create_dataset(key, data=values, chunks=chunks)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "ups_data.stores.read_ahead.os.posix_fadvise",
        lambda descriptor, offset, size, advice: asked.append((offset, size)),
    )
    monkeypatch.setattr(ReadAhead, "_in_memory", lambda self, offset: False)
    with h5py.File(path) as file:
        ReadAhead([file["a"], file["b"]]).fetch(2, 1, 3)
    if chunks:
        assert not asked
        return
    raw = path.read_bytes()
    for offset, size in asked:
        assert raw[offset : offset + size] == values[2, 1:4].tobytes()
    assert len(asked) == 2


@pytest.mark.skipif(not SUPPORTED, reason="the system cannot be asked")
def test_frames_in_memory_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fields.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros((3, 4, 8), dtype=np.float32)
    path.read_bytes()
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("nothing to fetch"))
    with h5py.File(path) as file:
        ReadAhead([file["a"]]).fetch(0, 0, 3)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "a", "b")])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_are_read_to_their_places(
    names: tuple[str, ...], stride: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields of a file in any order, one of them a forcing, frames apart, in numbers of any type."""
    monkeypatch.setattr(file_store, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(file_store, "IN_CACHE", 0)
    random = np.random.default_rng(0)
    values = {key: random.normal(size=(5, 9, 4, 6)) for key in "abc"}
    path = tmp_path / "fields.h5"
    with h5py.File(path, "w") as file:
        for key, dtype in zip("abc", ("<f4", ">f4", "<f8"), strict=True):
            file.create_dataset(key, data=values[key].astype(dtype))
        file["x-coordinate"] = (np.arange(4) + 0.5) / 4
        file["y-coordinate"] = (np.arange(6) + 0.5) / 6
        file["t-coordinate"] = np.arange(10) * 0.5
    info = TaskInfo(
        name="flow", family="flow", kind="evolution",
        channels=(Channel("a", "1", "state"), Channel("b", "1", "forcing"), Channel("c", "1", "state")),
        parameters=(), boundary="periodic", domain=((0.0, 1.0), (0.0, 1.0)), shape=(4, 6), dt=0.5 * stride,
        frames=4, history=1, invariants=(), equation="",
    )  # fmt: skip
    layout = PDEBenchFields(PDEBenchFieldsConfig(fields=names))
    store = FileStore(info, [Part(layout.open(path))])
    rows, starts = np.array([4, 0, 4]), np.array([0, 1, 1])
    found = store.frames(rows, starts, 3)
    for channel, key in enumerate("acb"):  # the forcing is last
        for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
            wanted = values[key][row, start * stride : (start + 2) * stride + 1 : stride]
            np.testing.assert_array_equal(found[number, :, channel], wanted.astype(np.float32))
    store.parts[0].file.file.close()  # type: ignore[attr-defined]
    with h5py.File(path, "r+") as file:
        file[names[1]][0, stride, 2, 3] = np.inf
    problem = f"'{names[1]}' contains NaN or infinity in trajectory 0, frame {stride};"
    with pytest.raises(UPSError, match=problem):
        FileStore(info, [Part(layout.open(path))]).frames(np.array([1, 0]), np.array([0, 0]), 3)
