"""Several processes over gloo, started as users start them, train what one process trains."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from commands import command
from documents import ROOT
from plugin_for_tests import OBJECTIVES
from small_runs import PARALLEL, STEPS, train

QUICK = [("operator", "adamw", "ddp"), ("test/energy", "muon_hybrid", "fsdp2")]
"""Objectives, optimizers and strategies of the default suite; the other combinations are slow."""

NOISE = 2e-3
"""Difference allowed of weights that noise passes: members are nearly equal, so the gradients of these weights
are differences of nearly equal numbers, and AdamW makes steps of their rounding errors. Other vector
instructions alone move them by 6e-4 in one process, of up to 6e-2 that they can move in 30 steps."""


@pytest.mark.parametrize(
    ("objective", "optimizer", "strategy"),
    [
        case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
        for case in itertools.product(OBJECTIVES, ("adamw", "muon_hybrid"), ("ddp", "fsdp2"))
    ],
)
def test_two_processes_train_what_one_trains(
    objective: str, optimizer: str, strategy: str, folder: Path
) -> None:
    """AdamW with two batches a step, Muon with one; every other batch is followed by a validation."""
    stage = {"optimizer": {"kind": optimizer, "lr": 2e-3}, "validate_every": 2}
    if objective == "consistency_distillation":
        stage["grid"] = 2  # shorter teacher steps make a loss as small as rounding errors
    stage |= {"accumulate": 2} if optimizer == "adamw" else {"measure_conflict": True}
    tolerance = 1e-5 if optimizer == "adamw" else 1e-3
    run = f"{objective.rpartition('/')[2]}-{optimizer}"
    monitored = {"operator": ["val/nrmse", "val/advection1d/nrmse", "val/darcy2d/nrmse"]}
    one = train(folder, f"one-{run}", 1, stage=stage, objective=objective)
    assert len(one.metrics) >= STEPS // 2
    assert one.metrics[-1]["step"] == STEPS
    options = {"stage": stage, "objective": objective, "trainer": {"strategy": strategy}, **PARALLEL}
    two = train(folder, f"{strategy}-{run}", 2, trackers=["csv"], **options)
    for name in ("train/loss", *monitored.get(objective, [OBJECTIVES[objective]])):
        curve = one.curve(name)
        scale = curve.clamp(min=curve.median().item())  # a squared error near zero keeps fewer digits
        difference = (two.curve(name) - curve).abs() / scale
        assert difference.max() < tolerance, (name, difference)
    agreement = "train/gradient_cosine"
    assert [agreement in line for line in two.metrics] == [agreement in line for line in one.metrics]
    for ours, theirs in zip(two.metrics, one.metrics, strict=True):
        assert ours.get(agreement, 0.0) == pytest.approx(theirs.get(agreement, 0.0), abs=0.02)
    rows = (two.step / "metrics.csv").read_text().splitlines()[1:]
    assert [int(row.partition(",")[0]) for row in rows] == [line["step"] for line in two.metrics]
    written = {"checkpoints", "details.json", "metrics.csv", "metrics.jsonl", "model", "step.json"}
    assert {path.name for path in two.step.iterdir()} == written
    assert set(two.weights) == set(one.weights)
    for name, weight in one.weights.items():
        if name == "codec.head.advection1d.bias":
            continue  # of a flux: without effect on anything, so it moves by rounding errors alone
        allowed = max(50 * tolerance, NOISE) if name.startswith("condition.of_noise") else 50 * tolerance
        assert torch.allclose(two.weights[name], weight, rtol=0, atol=allowed), name


def test_muon_orthogonalises_complete_matrices_from_their_shards(folder: Path) -> None:
    """Ours for CPUs in float32, and torch's own, which GPUs use, within bfloat16's rounding."""
    script = ROOT / "tests" / "helpers" / "sharded_muon.py"
    said = command("torchrun", "--standalone", "--nproc-per-node=2", script, cwd=folder).stdout
    differences = json.loads(said)
    assert len(differences) == 8
    for case, difference in differences.items():
        assert difference < (1e-5 if case.startswith("Float32Muon") else 0.05), case
