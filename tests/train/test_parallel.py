"""Several processes over gloo, started as users start them, train what one process trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import BIN, command
from documents import ROOT
from small_runs import PARALLEL, STEPS, train, write_spec
from ups_train.memory import HOOK


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parallel")


@pytest.mark.parametrize(("optimizer", "tolerance"), [("adamw", 1e-5), ("muon_hybrid", 1e-3)])
def test_two_processes_train_what_one_trains(optimizer: str, tolerance: float, folder: Path) -> None:
    stage = {"optimizer": {"kind": optimizer, "lr": 2e-3}}
    stage |= {"accumulate": 2} if optimizer == "adamw" else {"measure_conflict": True}
    one = train(folder, f"one-{optimizer}", 1, stage=stage)
    assert len(one.metrics) >= STEPS
    for strategy in ("ddp", "fsdp2"):
        two = train(
            folder, f"{strategy}-{optimizer}", 2, stage=stage, trainer={"strategy": strategy}, **PARALLEL
        )
        for name in ("train/loss", "val/nrmse", "val/advection1d/nrmse", "val/darcy2d/nrmse"):
            difference = (two.curve(name) - one.curve(name)).abs() / one.curve(name)
            assert difference.max() < tolerance, (strategy, name, difference)
        agreement = "train/gradient_cosine"
        assert [agreement in line for line in two.metrics] == [agreement in line for line in one.metrics]
        for ours, theirs in zip(two.metrics, one.metrics, strict=True):
            assert ours.get(agreement, 0.0) == pytest.approx(theirs.get(agreement, 0.0), abs=0.02)
        assert sorted(path.name for path in two.step.iterdir()) == [
            "checkpoints", "details.json", "metrics.jsonl", "model", "step.json",
        ]  # fmt: skip
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


def workers_of(run: str) -> list[int]:
    """Process numbers of a run's ranks."""
    lines = {path.parent.name: _command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [int(number) for number, line in lines.items() if f"ups_core.worker\0runs/{run}" in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_killed_rank_is_started_again_from_the_last_checkpoint(folder: Path) -> None:
    stage = {"optimizer": {"kind": "adamw", "lr": 2e-3}}
    whole = train(folder, "whole", 1, stage=stage)
    killed: list[int] = []

    def kill_a_rank() -> None:
        while not list((folder / "runs").glob("killed-*/steps/.operator.partial/checkpoints/step-*.ckpt")):
            time.sleep(0.05)
        killed.append(workers_of("killed-")[-1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_a_rank, daemon=True)
    killer.start()
    again = train(folder, "killed", 2, stage=stage, launcher={"kind": "torchrun", "restarts": 1})
    assert killed
    assert [line["step"] for line in again.metrics] == [line["step"] for line in whole.metrics]
    difference = (again.curve("train/loss") - whole.curve("train/loss")).abs() / whole.curve("train/loss")
    assert difference.max() < 1e-5


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_two_processes_that_were_stopped_go_on_to_the_same_bits(stop: signal.Signals, folder: Path) -> None:
    stage = {"validate_every": 7, "ema": 0.9, "checkpoints": {"asynchronous": True}}
    if not list(folder.glob("runs/undisturbed-*")):
        train(folder, "undisturbed", 2, stage=stage, **PARALLEL)
    name = f"stopped-{stop}"
    path = write_spec(folder, name, 2, stage=stage, **PARALLEL)
    run = subprocess.Popen(
        [BIN / "ups-run", path, "--data-root", "data"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    while not list(folder.glob(f"runs/{name}-*/steps/.operator.partial/checkpoints/step-*.ckpt")):
        time.sleep(0.05)
    run.send_signal(stop)
    _, said = run.communicate(timeout=100)
    assert run.returncode == (-stop if stop == signal.SIGKILL else 128 + stop), said
    if stop != signal.SIGKILL:
        assert f"interrupted ({stop.name}); the same command continues" in said
        record = json.loads(next(folder.glob(f"runs/{name}-*/run.json")).read_text())
        assert record["status"] == "interrupted"
    for _ in range(200):
        if not workers_of(name):
            break
        time.sleep(0.05)
    assert not workers_of(name), "workers end with the one who started them"
    (directory,) = folder.glob(f"runs/{name}-*")
    assert not (directory / "steps" / "operator").exists()
    again = train(folder, name, 2, stage=stage, **PARALLEL)
    (whole,) = folder.glob("runs/undisturbed-*")
    weights = [run / "steps/operator/model/weights.safetensors" for run in (again.directory, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    metrics = [json.loads((run / "run.json").read_text())["metrics"] for run in (again.directory, whole)]
    assert metrics[0] == metrics[1]


def test_processes_agree_on_spikes_and_go_back_together(folder: Path) -> None:
    stage = {"optimizer": {"kind": "adamw", "lr": 2e-3}, "validate_every": 5}
    stage["spikes"] = {"policy": "rollback", "factor": 2.0, "window": 5}
    one = train(folder, "spiky-1", 1, stage=stage)
    two = train(folder, "spiky-2", 2, stage=stage, **PARALLEL)
    spikes = [json.loads((run.step / "spikes.json").read_text()) for run in (one, two)]
    places = [[(spike["epoch"], spike["batch"]) for spike in found] for found in spikes]
    assert places == [[(2, 0)]] * 2
    difference = (two.curve("train/loss") - one.curve("train/loss")).abs() / one.curve("train/loss")
    assert difference.max() < 1e-5


def test_a_rank_out_of_memory_makes_all_ranks_halve_their_batches(folder: Path) -> None:
    stage = {"optimizer": {"kind": "adamw", "lr": 2e-3}, "validate_every": 5}
    whole = train(folder, "roomy", 2, stage=stage, **PARALLEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOOK, "operator:1:12:1")
        tight = train(folder, "tight", 2, stage=stage, **PARALLEL)
    assert [line["step"] for line in tight.metrics] == [line["step"] for line in whole.metrics]
    difference = (tight.curve("train/loss") - whole.curve("train/loss")).abs() / whole.curve("train/loss")
    assert difference.max() < 1e-5
    told = json.loads((tight.directory / "run.json").read_text())["steps"][0]["details"]
    assert told["parts"]["failures"] == [{"rank": 1, "parts": 1}]
    assert told["strategy"]["kind"] == "ddp"
    assert not list(tight.step.glob("error-*"))


@pytest.mark.parametrize(("optimizer", "before", "after"), [("adamw", 1, 2), ("muon_hybrid", 2, 1)])
def test_a_checkpoint_goes_on_with_another_number_of_ranks(
    optimizer: str, before: int, after: int, folder: Path
) -> None:
    """Stop one run half-way, hand its checkpoint to a run of another number of sharded ranks."""
    stage = {"optimizer": {"kind": optimizer, "lr": 2e-3}, "validate_every": 5}
    ways: dict[int, dict[str, Any]] = {1: {}, 2: {"trainer": {"strategy": "fsdp2"}, **PARALLEL}}
    whole = train(folder, f"whole-{optimizer}", 1, stage=stage)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOOK, "operator:0:17:99")  # fails there however small the micro-batches are
        half = train(folder, f"half-{optimizer}", before, code=1, stage=stage, **ways[before])
    rest = planned(folder, f"rest-{optimizer}", after, stage=stage, **ways[after])
    shutil.copytree(
        half.directory / "steps" / ".operator.partial" / "checkpoints",
        rest / "steps" / ".operator.partial" / "checkpoints",
    )
    continued = train(folder, f"rest-{optimizer}", after, stage=stage, **ways[after])
    assert [line["step"] for line in continued.metrics] == [20, 25, 30]
    tolerance = 1e-5 if optimizer == "adamw" else 1e-3
    for ours, theirs in zip(continued.metrics, whole.metrics[3:], strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=tolerance)
    assert set(continued.weights) == set(whole.weights)
    for key, weight in whole.weights.items():
        if key != "codec.head.advection1d.bias":  # of a flux: it moves by rounding errors alone
            assert torch.allclose(continued.weights[key], weight, rtol=0, atol=50 * tolerance), key


def test_shards_in_the_hosts_memory_train_and_go_on_to_the_same_bits(folder: Path) -> None:
    """A plan refuses to offload where there is no GPU, but the policy works there all the same.

    Muon hybrid has matrices for Muon and all else for AdamW.
    """

    def weights(name: str, offload: bool) -> bytes:
        command(
            "torchrun", "--standalone", "--nproc-per-node=2", ROOT / "tests/helpers/sharded_stage.py",
            folder / "offload-data", folder / name, str(offload), cwd=folder,
        )  # fmt: skip
        return (folder / name / "model" / "weights.safetensors").read_bytes()

    whole = weights("on-devices", False)
    assert weights("in-hosts", True) == whole
    for path in (folder / "in-hosts").glob("checkpoints/*-00000008.ckpt*"):
        path.unlink()
    assert weights("in-hosts", True) == whole


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
