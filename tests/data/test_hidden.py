"""Parameters that nobody measured: the same data, and models that are not given them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ups_core import UPSError
from ups_data import prepare_task
from ups_data.tasks.create import create_task

SMALL: dict[str, Any] = {"trajectories": 10, "resolution": 32, "frames": 3}


def test_what_is_hidden_is_not_given(tmp_path: Path) -> None:
    options = SMALL | {"nu": [0.5, 1.0], "rho": [1.0, 2.0]}
    whole = prepare_task("reaction_diffusion1d", options, tmp_path)
    data = prepare_task("reaction_diffusion1d", options | {"hidden": ["nu"]}, tmp_path)
    assert [parameter.name for parameter in whole.info.parameters] == ["nu", "rho"]
    assert [parameter.name for parameter in data.info.parameters] == ["rho"]
    everything, batch = (part.trajectories("train").batch(range(12)) for part in (whole, data))
    np.testing.assert_array_equal(batch.target, everything.target)
    np.testing.assert_array_equal(batch.params, everything.params[:, 1:])
    assert len(list(tmp_path.rglob("*.hdf5"))) == 4, "the same files"


def test_a_solver_would_need_what_is_hidden() -> None:
    assert create_task("advection1d", {"hidden": ["beta"]}).solver() is None
    assert create_task("advection1d", {}).solver() is not None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("burgers1d", "task 'burgers1d': hidden 'beta' is not a parameter of the problem"),
        ("shallow_water2d", "hidden 'beta' is not a parameter of the problem .it has none"),
    ],
)
def test_what_is_not_a_parameter_cannot_be_hidden(kind: str, message: str) -> None:
    with pytest.raises(UPSError, match=message):
        create_task(kind, {"hidden": ["beta"]}).describe(Path())
