"""Files whose windows are read slowly are recognised, and written again with the same numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from problems import info_of
from ups_core.cli.main import main
from ups_data.stores import storage
from ups_data.stores.file_store import FileStore
from ups_data.stores.layout_config import PDEBenchFieldsConfig
from ups_data.stores.part import Part
from ups_data.stores.pdebench_fields import PDEBenchFields

SHAPE = (6, 21, 64, 64)
FAST: list[dict[str, Any]] = [
    {},
    {"chunks": (1, 1, 64, 64)},
    {"chunks": (1, 4, 32, 64)},
    {"chunks": (1, 1, 64, 64), "compression": "lzf"},
]
SLOW: list[tuple[dict[str, Any], str]] = [
    ({"chunks": (1, 21, 64, 64)}, "is stored in chunks of 1 x 21 x 64 x 64, so one frame decodes 21"),
    ({"chunks": (2, 4, 64, 64)}, "is stored in chunks of 2 x 4 x 64 x 64, so one frame decodes 8"),
    (
        {"chunks": (1, 1, 64, 64), "compression": "gzip"},
        "is stored in gzip compressed chunks of 1 x 1 x 64 x 64",
    ),
    (
        {"chunks": (1, 21, 64, 64), "compression": "gzip", "shuffle": True},
        "is stored in gzip compressed chunks of 1 x 21 x 64 x 64, so one frame decodes 21",
    ),
]


def flow(path: Path, options: dict[str, Any]) -> Path:
    """A file of compressible flow."""
    values = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    with h5py.File(path, "w") as file:
        for number, key in enumerate(("density", "pressure", "Vx", "Vy")):
            file.create_dataset(key, data=values + number, **options)
        for axis, points in (("x", 64), ("y", 64)):
            file[f"{axis}-coordinate"] = ((np.arange(points) + 0.5) / points).astype("f4")
        file["t-coordinate"] = np.arange(22, dtype="f4")
        file.attrs["eta"] = 0.1
        file["density"].attrs["unit"] = "kg/m3"
    return path


def inspected(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main(["data", "inspect", str(path), "--json"]) == 0
    slow: dict[str, str] = json.loads(capsys.readouterr().out)["slow"]
    return slow


@pytest.mark.parametrize("options", FAST, ids=str)
def test_nothing_is_said_about_fast_files(
    options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspected(flow(tmp_path / "a.hdf5", options), capsys) == {}


@pytest.mark.parametrize(("options", "problem"), SLOW, ids=str)
def test_slow_files_are_named_and_repacked(
    options: dict[str, Any], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = flow(tmp_path / "a.hdf5", options), tmp_path / "b.hdf5"
    assert inspected(path, capsys) == dict.fromkeys(("Vx", "Vy", "density", "pressure"), problem)
    assert main(["data", "inspect", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"slow to read: Vx {problem}" in said
    assert f"'ups data repack {path} -o NEW' stores them contiguously" in said
    assert main(["data", "repack", str(path), "-o", str(new)]) == 0
    assert f"{new}: " in capsys.readouterr().out
    assert inspected(new, capsys) == {}
    with h5py.File(path) as old, h5py.File(new) as file:
        assert set(file) == set(old)
        assert dict(file.attrs) == dict(old.attrs)
        assert file["density"].attrs["unit"] == "kg/m3"
        for key in old:
            assert np.array_equal(file[key][()], old[key][()])
            assert file[key].dtype == old[key].dtype
        assert file["density"].chunks is None


def test_groups_and_the_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, new = tmp_path / "a.h5", tmp_path / "b.h5"
    data = np.random.default_rng(0).normal(size=(41, 64, 64, 2)).astype("f4")
    with h5py.File(path, "w") as file:
        for number in range(8):
            group = file.create_group(f"{number:04d}")
            group.create_dataset("data", data=data + number, compression="lzf", chunks=(41, 16, 16, 1))
            group["grid/x"] = group["grid/y"] = ((np.arange(64) + 0.5) / 64).astype("f4")
            group["grid/t"] = np.arange(41, dtype="f4")
            group.attrs["config"] = "a: 1"
    slow = inspected(path, capsys)
    assert len(slow) == 8
    assert slow["0003/data"] == "is stored in chunks of 41 x 16 x 16 x 1, so one frame decodes 41"
    assert main(["data", "inspect", str(path)]) == 0
    assert "3 more datasets; 'ups data repack" in capsys.readouterr().out
    assert main(["data", "repack", str(path), "-o", str(new)]) == 0
    with h5py.File(new) as file:
        assert np.array_equal(file["0007/data"][()], data + np.float32(7))
        assert file["0002"].attrs["config"] == "a: 1"
    capsys.readouterr()
    assert inspected(new, capsys) == {}


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flow(tmp_path / "a.hdf5", {})
    assert main(["data", "repack", str(path), "-o", str(path)]) == 2
    assert "already exists; choose another -o or remove it" in capsys.readouterr().err
    assert main(["data", "repack", str(path), "-o", str(tmp_path / "no" / "b.hdf5")]) == 2
    assert "is not a directory; create it or choose another -o" in capsys.readouterr().err
    assert main(["data", "repack", str(tmp_path / "absent.h5"), "-o", str(tmp_path / "b.hdf5")]) == 1
    assert "is missing" in capsys.readouterr().err
    (tmp_path / "text.h5").write_text("no")
    assert main(["data", "repack", str(tmp_path / "text.h5"), "-o", str(tmp_path / "b.hdf5")]) == 1
    assert "not a readable HDF5 file" in capsys.readouterr().err
    with h5py.File(path, "a") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/data")
    assert main(["data", "repack", str(path), "-o", str(tmp_path / "b.hdf5")]) == 1
    assert "has 'link' as a link, which is not followed" in capsys.readouterr().err
    assert not (tmp_path / "b.hdf5").exists()


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    chunk=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    at_once=st.integers(1, 4000),
)
def test_blocks_cover_everything_once(
    shape: list[int], chunk: list[int], at_once: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        h5py.File(tmp_path_factory.mktemp("blocks") / "a.h5", "w") as file,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(storage, "AT_ONCE", at_once)
        chunks = tuple(min(a, b) for a, b in zip(shape, chunk, strict=False))
        dataset = file.create_dataset("a", shape, "f4", chunks=chunks)
        seen = np.zeros(shape, dtype=int)
        for selection in storage.blocks(dataset):
            part = seen[selection]
            part += 1
            complete = all(place.start % size == 0 for place, size in zip(selection, chunks, strict=False))
            assert complete, "blocks begin where chunks do"
            limit = max(at_once, 4 * int(np.prod(chunks)))
            assert 4 * part.size <= limit
        assert (seen == 1).all()


def test_passes_decode_every_chunk_once(tmp_path: Path) -> None:
    """A pass over all data reads complete chunks of trajectories."""
    path = flow(tmp_path / "a.hdf5", {"chunks": (4, 1, 64, 64)})
    layout = PDEBenchFields(PDEBenchFieldsConfig(fields=("density", "pressure", "Vx", "Vy")))
    info = info_of(4, (64, 64))
    store = FileStore(replace(info, dt=1.0, frames=21), [Part(layout.open(path))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ups_data.stores.file_store.CHUNK_BYTES", 1)
        assert [chunk.part for chunk in store.chunks()] == [slice(0, 4), slice(4, 6)]
        patch.setattr("ups_data.stores.file_store.CHUNKS_AT_MOST", 1)
        assert [chunk.part for chunk in store.chunks()][:2] == [slice(0, 1), slice(1, 2)]
