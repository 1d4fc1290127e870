"""What users do wrong: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import TINY, command, overrides
from documents import ROOT

SPEC = ROOT / "specs" / "smoke.yaml"
SMALL = overrides(TINY)


def test_three_mistakes_give_three_lines(tmp_path: Path) -> None:
    spec = tmp_path / "bad.yaml"
    spec.write_text(f"extends: {SPEC}\nseeed: 1\nmodel: {{widht: 64}}\ntrainer: {{precision: fp8}}\n")
    result = command("ups-run", spec, cwd=tmp_path, code=2)
    lines = result.stderr.replace(f"{tmp_path}/", "").splitlines()
    assert lines == [
        "bad.yaml:2:1 seeed: unknown key 'seeed'; did you mean 'seed'?",
        "bad.yaml:3:9 model.widht: unknown key 'widht'; did you mean 'width'?",
        "bad.yaml:4:11 trainer.precision: expected 'auto', 32, 'tf32', 'bf16-mixed' or '16-mixed', got 'fp8'",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tasks.advection1d.resolution=100", "100"),
        ("tasks.darcy2d.resolution=48", "48"),
        ("model.kernel=4", "model.kernel.1: kernel 4 is even; use an odd one, which keeps the grid"),
        (
            "pipeline.operator.unroll=11",
            "11 steps after 1 given frames need 12 frames; task 'advection1d' has 11",
        ),
        ("pipeline.operator.model.kind=mean", "'mean' has nothing to train"),
        ("pipeline.test.baselines=[fnoo]", "did you mean 'fno'?"),
        ("tasks.advection1d.source.kind=official", "1D_Advection_Sols_beta0.4.hdf5"),
        (
            "pipeline.operator.optimizer={kind: grouped, groups: [{pattern: lyft, optimizer: adamw}]}",
            "pipeline[0].optimizer.groups: parameter",
        ),
        (
            "pipeline.operator.optimizer={kind: grouped, groups: [{pattern: '(', optimizer: adamw}]}",
            "'(' is not a regular expression",
        ),
        ("trainer.devices=2", "the launcher 'local' supports 1 device, got 2; set launcher to torchrun"),
        (
            "trainer.strategy=fsdp2",
            "the strategy 'fsdp2' needs at least 2 devices, got 1; set trainer.strategy to auto",
        ),
        ("trainer.strategy=fsdp", "unknown strategy 'fsdp'; did you mean 'fsdp2'?"),
        (
            "trainer={accelerator: cpu, precision: 16-mixed}",
            "trainer: precision 16-mixed needs a GPU; on a CPU use 32 or bf16-mixed\n",
        ),
        ("trainer.precision=tf32", "trainer.precision: precision tf32 needs a GPU, but none is visible"),
        (
            "trainer.accelerator=gpu",
            "trainer.accelerator: accelerator gpu needs a GPU, but none is visible",
        ),
        (
            "pipeline.operator.offload=true",
            "pipeline[0].offload: offload needs a GPU, but none is visible",
        ),
        (
            "trainer={devices: 2, strategy: {kind: fsdp2, offload: true}}",
            "trainer.strategy: offload needs a GPU, but none is visible",
        ),
        (
            "trainer={devices: 2, strategy: deepspeed}",
            "pipeline[0].optimizer: Muon needs complete matrices, 'deepspeed' splits them; use fsdp2 or adamw",
        ),
        ("pipeline.operator.compile=true", "pipeline[0].compile"),
        (
            "pipeline.operator.validate_on=8",
            "pipeline[0].validate_on: unknown key 'validate_on'; renamed to 'validation_trajectories' in 0.2\n",
        ),
        ("pipeline.operator.spikes={policy: skip, most: 3}", "'most'; renamed to 'max_spikes' in 0.2\n"),
        ("pipeline.operator.losses=[nrmse]", "unknown loss 'nrmse'; renamed to 'relative_l2' in 0.2\n"),
        (
            "pipeline.operator.optimizer={kind: muon_hybrid, groups: []}",
            "unknown key 'groups'; moved to the optimizer 'grouped' in 0.2\n",
        ),
        ("trainer.batch=auto", "trainer.batch: unknown key 'batch'; renamed to 'micro_batches'"),
        ("sampling.kind=balanced", "sampling.kind: unknown key 'kind'; removed in 0.2"),
        ("model={kind: latent_operator, depth_2d: 3}", "renamed to 'depth: {2: ...}' in 0.2\n"),
        ("model={kind: fno, modes_2d: 3}", "renamed to 'modes: {2: ...}' in 0.2\n"),
    ],
)
def test_specs_that_cannot_work_are_refused_before_anything_runs(
    override: str, expected: str, tmp_path: Path
) -> None:
    result = command("ups-run", SPEC, "--set", override, cwd=tmp_path, code=2)
    assert expected in result.stderr
    assert not (tmp_path / "runs").exists()


def test_latent_options_need_a_model_with_a_latent_space(tmp_path: Path) -> None:
    options = "--set", "pipeline.operator.latent_unroll=2", "--set", "pipeline.test.latent_rollout=true"
    result = command("ups-run", SPEC, *options, "--set", "model={kind: unet}", cwd=tmp_path, code=2)
    assert "pipeline[0].latent_unroll: 'unet' has no latent space; set it to 0" in result.stderr
    assert "latent_rollout: 'unet' has no latent space; set it to false" in result.stderr
    baseline = "--set", "pipeline.test.baselines=[unet]", "--plan"
    command("ups-run", SPEC, *options, *baseline, cwd=tmp_path)  # which is trained without them


def test_a_loss_that_is_not_finite_ends_with_code_1_and_is_named(tmp_path: Path) -> None:
    result = command(
        "ups-run",
        SPEC,
        *SMALL,
        "--set",
        "pipeline.operator.max_steps=20",
        "--set",
        "pipeline.operator.clip=null",
        "--set",
        "pipeline.operator.optimizer={kind: adamw, lr: 1e30}",
        cwd=tmp_path,
        code=1,
    )
    assert "error: step 'operator' failed: the loss is" in result.stderr
    assert "lower optimizer.lr" in result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    content = json.loads((run / "run.json").read_text())
    assert content["status"] == "failed"
    assert content["steps"][0]["status"] == "failed"


def official(folder: Path, count: int = 20) -> Path:
    """A file with the exact keys and shapes of PDEBench's beta 0.4 file, fewer trajectories."""
    path = folder / "data" / "1D" / "Advection" / "Train" / "1D_Advection_Sols_beta0.4.hdf5"
    path.parent.mkdir(parents=True)
    x = (np.arange(1024) + 0.5) / 1024
    t = np.arange(202) * 0.01
    phase = np.linspace(0, 3, count)[:, None, None]
    with h5py.File(path, "w") as file:
        file["tensor"] = np.sin(2 * np.pi * (x - 0.4 * t[:201, None]) + phase).astype(np.float32)
        file["x-coordinate"] = x.astype(np.float32)
        file["t-coordinate"] = t.astype(np.float32)
        file.attrs["beta"] = 0.4
    return path


def official_darcy(folder: Path, count: int = 20) -> Path:
    """A file with the exact keys and shapes of PDEBench's Darcy file for beta 1.0, fewer samples."""
    path = folder / "data" / "2D" / "DarcyFlow" / "2D_DarcyFlow_beta1.0_Train.hdf5"
    path.parent.mkdir(parents=True)
    generator = np.random.default_rng(0)
    centres = (np.arange(128) + 0.5) / 128
    with h5py.File(path, "w") as file:
        file["nu"] = np.where(generator.random((count, 128, 128)) < 0.5, np.float32(0.1), np.float32(1.0))
        file["tensor"] = generator.random((count, 1, 128, 128), dtype=np.float32)
        file["x-coordinate"] = centres.astype(np.float32)
        file["y-coordinate"] = centres.astype(np.float32)
        file.attrs["beta"] = 1.0
    return path


def test_official_files_are_used_when_they_are_there(tmp_path: Path) -> None:
    paths = {"advection1d": official(tmp_path), "darcy2d": official_darcy(tmp_path)}
    command("ups-run", SPEC, *SMALL, cwd=tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    data = json.loads((run / "run.json").read_text())["data"]
    for task, path in paths.items():
        assert data[task]["source"] == "official"
        assert data[task]["files"] == [str(path.relative_to(tmp_path))]
    assert "transient" in data["darcy2d"]["note"], (
        "the official Darcy files are not steady, and the record says so"
    )
    assert not (tmp_path / "data" / "generated").exists()


def test_one_official_file_of_two_leaves_the_other_generated(tmp_path: Path) -> None:
    official(tmp_path)
    plan = json.loads(command("ups-run", SPEC, *SMALL, "--plan", "--json", cwd=tmp_path).stdout)
    assert [plan["data"][task]["source"] for task in ("advection1d", "darcy2d")] == ["official", "generated"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "nan", "shape"])
def test_broken_data_files_are_named(damage: str, tmp_path: Path) -> None:
    path = official(tmp_path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with h5py.File(path, "r+") as file:
            if damage == "nan":
                file["tensor"][3, 50, 16] = np.nan
            else:
                del file["tensor"]
                file["tensor"] = np.zeros((20, 201), np.float32)
    # An empty file is seen while planning, the others when their content is read.
    result = command("ups-run", SPEC, *SMALL, cwd=tmp_path, code=2 if damage == "empty" else 1)
    line = result.stderr.splitlines()[-1]
    assert "1D_Advection_Sols_beta0.4.hdf5" in line
    if damage == "nan":
        assert "trajectory 3" in line
        assert "frame" in line
    assert not list((tmp_path / "runs").glob("*/steps/*"))


def test_missing_spec_and_bad_options(tmp_path: Path) -> None:
    assert (
        "none.yaml:1:1 cannot read the file: No such file or directory"
        in command("ups-run", "none.yaml", cwd=tmp_path, code=2).stderr
    )
    command("ups-run", "--no-such-option", cwd=tmp_path, code=2)
    assert (
        "unknown step 'tset'; steps: operator, fno, test, report"
        in command("ups-run", SPEC, "--only", "tset", cwd=tmp_path, code=1).stderr
    )
