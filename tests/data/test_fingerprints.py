"""Fingerprints of generated data stay what they are: a change would make every user generate everything again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import pytest

from ups_core.console import Console
from ups_data.tasks.create import create_task

KNOWN: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "advection1d": (
        {"beta": [0.4], "resolution": 16, "frames": 3},
        "bbe459533b9f4fb15c51c1fb9edc24c0c6da336c1eff5cf31fd6b77bf6b0e777",
        "advection1d-0f5b22240297",
        "d66d86ac2b4cc233c13fdfcfbcc362386cd413a317bfb06aa4f0944050634c03",
        "ups_data.generators.advection:generate version 1",
    ),
    "burgers1d": (
        {"nu": [0.01], "resolution": 16, "frames": 3},
        "cb35fb963b9312cf62245796f63508125b0ec3abb571f4bbe1ae6bf06fa433d2",
        "burgers1d-83675dc7ea17",
        "f31e3ea9d6d94e233e0b879c95333939442f9fd60a5d1af97f32c71b1a0b3eed",
        "ups_data.generators.burgers:generate version 2",
    ),
    "darcy2d": (
        {"resolution": 16},
        "d6ed722849b4da8d80cd87c552b809b473630d8a9dfc36462729cadc4df3f4e9",
        "darcy2d-ba116077776f",
        "c312d3840ecc5be75b896d661fa6f016b2f538226ea1dc62817dcd47c131c4b1",
        "ups_data.generators.darcy:generate version 1",
    ),
}
"""Task -> options; fingerprint of the data; folder; fingerprint and generator that the file names."""


@pytest.mark.parametrize("kind", KNOWN)
def test_fingerprints_of_generated_data(kind: str, tmp_path: Path, console: Console) -> None:
    options, fingerprint, folder, stored, generator = KNOWN[kind]
    task = create_task(kind, {"trajectories": 10} | options)
    task.prepare_data(tmp_path, console)
    plan = task.plan_data(tmp_path)
    assert plan.fingerprint == fingerprint
    assert [path.parent.name for path in plan.files] == [folder]
    with h5py.File(plan.files[0]) as file:
        assert (file.attrs["ups_fingerprint"], file.attrs["ups_generator"]) == (stored, generator)
        assert file.attrs["ups_seed"] == 2022
    assert (tmp_path / "audits" / f"{fingerprint}.json").is_file()
