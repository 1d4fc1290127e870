"""Several processes over gloo, started as users start them, train what one process trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from commands import command
from documents import ROOT
from small_runs import PARALLEL, STEPS, train


@pytest.mark.parametrize(
    ("objective", "optimizer"),
    [
        ("operator", "adamw"),
        ("test/energy", "muon_hybrid"),
        pytest.param("operator", "muon_hybrid", marks=pytest.mark.slow),
        pytest.param("test/energy", "adamw", marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_what_one_trains(objective: str, optimizer: str, folder: Path) -> None:
    """AdamW with two batches a step, Muon with one; every other batch is followed by a validation."""
    stage = {"optimizer": {"kind": optimizer, "lr": 2e-3}, "validate_every": 2}
    stage |= {"accumulate": 2} if optimizer == "adamw" else {"measure_conflict": True}
    tolerance = 1e-5 if optimizer == "adamw" else 1e-3
    run = f"{objective.rpartition('/')[2]}-{optimizer}"
    monitored = {"operator": ["val/nrmse", "val/advection1d/nrmse", "val/darcy2d/nrmse"]}
    one = train(folder, f"one-{run}", 1, stage=stage, objective=objective)
    assert len(one.metrics) >= STEPS // 2
    assert one.metrics[-1]["step"] == STEPS
    for strategy in ("ddp", "fsdp2"):
        two = train(
            folder,
            f"{strategy}-{run}",
            2,
            stage=stage,
            objective=objective,
            trainer={"strategy": strategy},
            **PARALLEL,
        )
        for name in ("train/loss", *monitored.get(objective, ["val/energy"])):
            difference = (two.curve(name) - one.curve(name)).abs() / one.curve(name)
            assert difference.max() < tolerance, (strategy, name, difference)
        agreement = "train/gradient_cosine"
        assert [agreement in line for line in two.metrics] == [agreement in line for line in one.metrics]
        for ours, theirs in zip(two.metrics, one.metrics, strict=True):
            assert ours.get(agreement, 0.0) == pytest.approx(theirs.get(agreement, 0.0), abs=0.02)
        assert sorted(path.name for path in two.step.iterdir()) == [
            "checkpoints",
            "details.json",
            "metrics.jsonl",
            "model",
            "step.json",
        ]
        assert set(two.weights) == set(one.weights)
        for name, weight in one.weights.items():
            if name == "codec.head.advection1d.bias":
                continue  # of a flux: without effect on anything, so it moves by rounding errors alone
            assert torch.allclose(two.weights[name], weight, rtol=0, atol=50 * tolerance), (strategy, name)


def test_muon_orthogonalises_whole_matrices_whose_shards_it_has(folder: Path) -> None:
    """Ours for CPUs in float32, and torch's own, which GPUs use, within bfloat16's rounding."""
    script = ROOT / "tests" / "helpers" / "sharded_muon.py"
    said = command("torchrun", "--standalone", "--nproc-per-node=2", script, cwd=folder).stdout
    differences = json.loads(said)
    assert len(differences) == 8
    for case, difference in differences.items():
        assert difference < (1e-5 if case.startswith("Float32Muon") else 0.05), case
