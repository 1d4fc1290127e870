"""The neuraloperator plug-in with the real package, installed into an environment of its own: minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT

PACKAGES = [ROOT / "packages" / f"ups-{name}" for name in ("core", "data", "models", "eval", "train")]
EXAMPLE = ROOT / "examples" / "ups-neuraloperator"
SAME_AGAIN = """
import sys
import torch
from pathlib import Path
from ups_data import prepare_task
from ups_models.bundle import load_bundle
for name, options in (("advection1d", {"trajectories": 60, "resolution": 64, "frames": 11, "time_stride": 10}),
                      ("darcy2d", {"trajectories": 60, "resolution": 32})):
    batch = prepare_task(name, options, "data").trajectories("test").batch([0, 1])
    one, two = (load_bundle(Path(sys.argv[1])).rollout(batch, batch.target.shape[1]) for _ in range(2))
    assert one.shape == batch.target.shape and torch.equal(one, two) and one.isfinite().all()
"""


@pytest.mark.slow
def test_the_real_fno_trains_is_scored_saved_and_loaded(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = venv / "bin" / "python"
    subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "-c",
            str(ROOT / "constraints.txt"),
            *map(str, [*PACKAGES, EXAMPLE]),
        ],
        check=True,
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [venv / "bin" / "ups-run", EXAMPLE / "spec.yaml"], cwd=tmp_path, check=True, env=environment
    )
    (run,) = (tmp_path / "runs").iterdir()
    config = json.loads((run / "steps/operator/model/config.json").read_text())
    assert (config["kind"], config["provider"]) == ("neuraloperator/fno", "ups-neuraloperator")
    subprocess.run([python, "-c", SAME_AGAIN, str(run / "steps/operator/model")], cwd=tmp_path, check=True)
