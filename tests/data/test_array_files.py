"""Arrays of every format read back what was written, in any selection; damage and objects get one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.io import savemat

from ups_core import UPSError
from ups_data.stores.array_files import UNNAMED, ArrayFile

Array = NDArray[Any]


def write_h5(path: Path, values: dict[str, Array]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in values.items():
            file[name] = array


def write_mat73(path: Path, values: dict[str, Array]) -> None:
    write_h5(path, {name: array.T for name, array in values.items()})


WRITERS: dict[str, Callable[[Path, dict[str, Array]], Any]] = {
    "a.npz": lambda path, values: np.savez(path, **values),
    "b.npz": lambda path, values: np.savez_compressed(path, **values),
    "new.mat": write_mat73,
    "old.mat": lambda path, values: savemat(path, values),
    "a.pt": lambda path, values: torch.save({k: torch.from_numpy(v.copy()) for k, v in values.items()}, path),
}
DTYPES = st.sampled_from(["f4", "f8", "i4", "i8", "?", "c8", "c16"])
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


@pytest.mark.parametrize("name", WRITERS)
@given(data=st.data())
def test_what_was_written_is_read(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = {key: data.draw(arrays(data.draw(DTYPES), data.draw(SHAPES))) for key in ("u", "grid_x")}
    path = tmp_path_factory.mktemp("arrays") / name
    WRITERS[name](path, values)
    file = ArrayFile(path)
    assert set(file) == set(values)
    for key, expected in values.items():
        assert file[key].shape == expected.shape
        selection = tuple(
            slice(*sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))))
            for n in expected.shape
        )
        found = file[key][selection]
        assert found.dtype.kind == expected.dtype.kind or name == "old.mat"
        np.testing.assert_array_equal(found, expected[selection])
        np.testing.assert_array_equal(file[key][0:1], expected[0:1])


@pytest.mark.parametrize("name", ["a.npy", "a.pt"])
def test_one_array_needs_no_name(name: str, tmp_path: Path) -> None:
    values = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / name, values) if name.endswith("npy") else torch.save(
        torch.from_numpy(values), tmp_path / name
    )
    assert np.array_equal(ArrayFile(tmp_path / name)[UNNAMED][1:, :2], values[1:, :2])


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    evil = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "a.npy", evil, allow_pickle=True)
    np.savez(tmp_path / "a.npz", evil=evil, u=np.zeros(3))
    torch.save({"u": Path("x")}, tmp_path / "a.pt")
    for name in ("a.npy", "a.npz"):
        with pytest.raises(
            UPSError, match=rf"{name} holds Python objects in '\w+', which are never unpickled"
        ):
            ArrayFile(tmp_path / name)
    with pytest.raises(UPSError, match=r"a\.pt cannot be read \("):
        ArrayFile(tmp_path / "a.pt")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_damage_gets_one_line(name: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path, {"u": np.arange(4000.0).reshape(40, 100)})
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello\n" * 20}[damage])
    with pytest.raises(UPSError) as caught:
        ArrayFile(path)["u"][:]
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_name_and_ending_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", velocity=np.zeros(3))
    with pytest.raises(UPSError, match=r"a\.npz has no array 'velocty'; did you mean 'velocity'"):
        ArrayFile(tmp_path / "a.npz")["velocty"]
    with pytest.raises(UPSError, match=r"a\.csv has an unknown ending; known: \.npy, \.npz"):
        ArrayFile(tmp_path / "a.csv")
    with pytest.raises(UPSError, match=r"b\.npz is missing"):
        ArrayFile(tmp_path / "b.npz")


def test_links_and_other_storage_are_refused(tmp_path: Path) -> None:
    write_h5(tmp_path / "other.h5", {"u": np.zeros(3)})
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["v"] = np.zeros(3)
        file["u"] = h5py.ExternalLink("other.h5", "u")
        file.create_dataset("w", (100,), "f4", external=[(str(tmp_path / "raw"), 0, 400)])
    with pytest.raises(UPSError, match="has its values in another file"):
        ArrayFile(tmp_path / "a.mat")
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        del file["w"]
    assert set(ArrayFile(tmp_path / "a.mat")) == {"v"}, "links are not followed"


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    zeros = np.zeros(100_000_000 // 8)
    np.savez_compressed(tmp_path / "a.npz", u=zeros)
    savemat(tmp_path / "a.mat", {"u": zeros}, do_compression=True)
    torch.save({"u": torch.zeros(1).expand(10**9)}, tmp_path / "a.pt")
    for name in ("a.npz", "a.mat", "a.pt"):
        assert (tmp_path / name).stat().st_size < 200_000
        with pytest.raises(UPSError, match=rf"{name} declares \d+ MB in 'u' but stores \d+ bytes"):
            ArrayFile(tmp_path / name)
