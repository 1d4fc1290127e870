"""Checkpoints resume with another number of processes, and with shards in another memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import command
from documents import ROOT
from small_runs import PARALLEL, train, write_spec


@pytest.mark.parametrize(
    ("optimizer", "before", "after"),
    [("adamw", 1, 2), pytest.param("muon_hybrid", 2, 1, marks=pytest.mark.slow)],
)
def test_a_checkpoint_resumes_with_another_number_of_ranks(
    optimizer: str, before: int, after: int, folder: Path
) -> None:
    """Hand a checkpoint of one run's middle to a run of another number of sharded ranks."""
    stage: dict[str, Any] = {"optimizer": {"kind": optimizer, "lr": 2e-3}, "validate_every": 5}
    stage["checkpoints"] = {"keep": 6}
    ways: dict[int, dict[str, Any]] = {1: {}, 2: {"trainer": {"strategy": "fsdp2"}, **PARALLEL}}
    undisturbed = train(folder, f"undisturbed-{optimizer}", before, stage=stage, **ways[before])
    rest = planned(folder, f"rest-{optimizer}", after, stage=stage, **ways[after])
    half = rest / "steps" / ".operator.partial" / "checkpoints"
    shutil.copytree(undisturbed.step / "checkpoints", half)
    for late in (20, 25, 30):
        for path in half.glob(f"step-*{late}.ckpt*"):
            path.unlink()
    assert len(list(half.glob("step-*.ckpt"))) == 3
    continued = train(folder, f"rest-{optimizer}", after, stage=stage, **ways[after])
    assert [line["step"] for line in continued.metrics] == [5, 10, 15, 20, 25, 30]
    assert continued.metrics[:3] == undisturbed.metrics[:3], "the checkpoint holds them"
    tolerance = 1e-5 if optimizer == "adamw" else 1e-3
    for ours, theirs in zip(continued.metrics[3:], undisturbed.metrics[3:], strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=tolerance)
    assert set(continued.weights) == set(undisturbed.weights)
    for key, weight in undisturbed.weights.items():
        if key != "codec.head.advection1d.bias":  # of a flux: it moves by rounding errors alone
            assert torch.allclose(continued.weights[key], weight, rtol=0, atol=50 * tolerance), key


@pytest.mark.slow
def test_shards_in_cpu_memory_train_and_resume_to_the_same_bits(folder: Path) -> None:
    """A plan refuses to offload where there is no GPU, but the policy works there all the same.

    Muon hybrid has matrices for Muon and all else for AdamW.
    """

    def weights(name: str, offload: bool) -> bytes:
        command(
            "torchrun",
            "--standalone",
            "--nproc-per-node=2",
            ROOT / "tests/helpers/sharded_stage.py",
            folder / "offload-data",
            folder / name,
            str(offload),
            cwd=folder,
        )
        return (folder / name / "model" / "weights.safetensors").read_bytes()

    undisturbed = weights("on-devices", False)
    assert weights("in-hosts", True) == undisturbed
    for path in (folder / "in-hosts").glob("checkpoints/*-00000008.ckpt*"):
        path.unlink()
    assert weights("in-hosts", True) == undisturbed


def planned(folder: Path, name: str, devices: int, **changes: Any) -> Path:
    """The directory of a run that was interrupted before its first checkpoint."""
    path = write_spec(folder, name, devices, **changes)
    plan = command("ups-run", path, "--data-root", folder / "data", "--plan", "--json", cwd=folder)
    content = json.loads(plan.stdout)
    directory = folder / content["directory"]
    partial = directory / "steps" / ".operator.partial"
    partial.mkdir(parents=True)
    (partial / "step.json").write_text(json.dumps({"fingerprint": content["steps"][0]["fingerprint"]}))
    return directory
