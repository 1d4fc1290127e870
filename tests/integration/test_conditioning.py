"""Everything that samples uses what it is given: what belongs to another trajectory makes it worse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from ups_core.cli.run import main
from ups_data.batches.batch import FieldBatch
from ups_eval.ensemble_scores import energy_score
from ups_models.bundle import load_bundle
from ups_models.member_noise import MemberStreams
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator

CELLS, MEMBERS = 32, 16


def scaled(seed: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Frames `(count, 2, CELLS)` and parameters `(count,)`: the second frame is the first one times a
    parameter, plus the first one moved, times a number that nobody can know."""
    draws = np.random.default_rng(seed)
    x = 2 * np.pi * (np.arange(CELLS) + 0.5) / CELLS
    start = (draws.normal(size=(count, 2, 1)) * np.stack([np.sin(x), np.cos(2 * x)])).sum(axis=1)
    a, hidden = draws.uniform(-1, 1, count), 0.3 * draws.normal(size=count)
    end = 2 * a[:, None] * start + hidden[:, None] * np.roll(start, 4, axis=1)
    return np.stack([start, end], axis=1).astype(np.float32), a.astype(np.float32)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The steps of a finished run, whose operator has learned next to nothing."""
    root = tmp_path_factory.mktemp("conditioning")
    u, a = scaled(0, 400)
    np.savez(root / "fields.npz", u=u, a=a)
    task: dict[str, Any] = {"kind": "arrays", "files": ["fields.npz"], "channels": ["u"]}
    task |= {"axes": ["trajectory", "time", "x"], "domain": {"x": [0, 1]}, "dt": 1.0, "boundary": "periodic"}
    task |= {"parameters": {"a": "a"}}
    training = {"max_steps": 200, "validate_every": 200, "batch_size": 16}
    training |= {"optimizer": {"kind": "muon_hybrid", "lr": 1e-2}}
    model = {"kind": "latent_operator", "middle_width": 16, "local_width": 8, "condition_width": 16}
    spec = {
        "version": 1,
        "name": "scaled",
        "tasks": {"scaled": task},
        "model": {**model, "width": 16, "depth": 1},
        "trainer": {"accelerator": "cpu", "threads": 1},
        "pipeline": [
            {"stage": "operator", "max_steps": 1, "validate_every": 1},
            {"stage": "operator", "id": "ensemble", "objective": {"kind": "ensemble"}, **training},
            {"stage": "diffusion_residual", "id": "flow", "needs": ["operator"], **training},
            {"stage": "consistency_distillation", "id": "student", **training},
        ],
    }
    path = root / "scaled.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    assert main([str(path), "--data-root", str(root), "--runs-dir", str(root / "runs")]) == 0
    (directory,) = (root / "runs").glob("scaled-*")
    return directory / "steps"


def members(simulator: Simulator, batch: FieldBatch, seen: FieldBatch) -> Tensor:
    """What an ensemble's network, or a corrector, adds where it sees another batch, `(M, B, C, CELLS)`."""
    if isinstance(simulator, CorrectedSimulator):
        noise = MemberStreams(batch, MEMBERS, 0).normal(batch.target.shape[2:])
        prediction = simulator.step(batch.repeated(MEMBERS))
        found = prediction + simulator.residual(seen.repeated(MEMBERS), prediction, noise)
        return found.reshape(MEMBERS, -1, *found.shape[1:])
    return batch.state[:, -1] + simulator.sample(seen, 1, MEMBERS, 0)[:, :, 0] - seen.state[:, -1]


@pytest.mark.parametrize("stage", ["ensemble", "flow", "student"])
def test_shuffled_conditions_hurt(stage: str, steps: Path) -> None:
    u, a = (torch.from_numpy(array) for array in scaled(1, 64))
    batch = FieldBatch(
        task="scaled",
        state=u[:, :1, None],
        static=torch.zeros(64, 0, CELLS),
        params=a[:, None],
        params_mask=torch.ones(64, 1, dtype=torch.bool),
        dt=torch.ones(64),
        coords=((torch.arange(CELLS) + 0.5) / CELLS)[:, None],
        target=u[:, 1:, None],
        index=torch.arange(64),
    )
    simulator = load_bundle(steps / stage / "model")
    others = torch.roll(torch.arange(64), 1)
    scores = []
    with torch.inference_mode():
        for seen in (
            batch,
            replace(batch, params=a[others, None]),
            replace(batch, state=batch.state[others]),
        ):
            scores.append(float(energy_score(members(simulator, batch, seen), batch.target[:, 0]).mean()))
    right, other_parameters, other_history = scores
    assert right < 0.5 * other_parameters, scores
    assert right < 0.5 * other_history, scores
