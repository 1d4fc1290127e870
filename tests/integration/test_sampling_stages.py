"""Ensemble, flow and student from one spec, scored beside the operator, verified and reported."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from commands import command
from ups_core.cli.run import main

SMALL = {
    "kind": "latent_operator",
    "width": 16,
    "middle_width": 8,
    "local_width": 8,
    "condition_width": 8,
    "kernel": 3,
    "depth": 1,
}
TRAINING = {"max_steps": 6, "validate_every": 3, "batch_size": 8}
SCORED = {"evaluate": "rollout", "members": 20, "save_predictions": 3}


def spec(root: Path, *pipeline: dict[str, Any]) -> Path:
    """A spec of waves whose speed is hidden."""
    path = root / "hidden.yaml"
    task = {"kind": "arrays", "files": ["waves.npz"], "channels": ["u"], "axes": ["trajectory", "time", "x"]}
    task |= {"domain": {"x": [0, 1]}, "dt": 1.0, "boundary": "periodic", "symmetries": ["translation"]}
    whole = {"version": 1, "name": "hidden", "tasks": {"hidden": task}, "model": SMALL}
    whole |= {"trainer": {"accelerator": "cpu", "threads": 1}, "pipeline": list(pipeline)}
    path.write_text(yaml.safe_dump(whole, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data."""
    folder = tmp_path_factory.mktemp("hidden")
    draws = np.random.default_rng(0)
    x, frames = (np.arange(32) + 0.5) / 32, np.arange(4)
    speed, phase = draws.uniform(0, 0.2, (60, 1, 1)), draws.uniform(0, 1, (60, 1, 1))
    u = np.sin(2 * np.pi * (x - speed * frames[:, None] - phase))
    np.savez(folder / "waves.npz", u=u.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    """A finished run of all stages."""
    pipeline = [
        {"stage": "operator", **TRAINING},
        {
            "stage": "operator",
            "id": "ensemble",
            "init": {"step": "operator"},
            "objective": {"kind": "ensemble", "members": 2, "noise": {"channels": 4, "hold": True}},
            **TRAINING,
        },
        {**SCORED, "id": "score_ensemble", "needs": ["ensemble"], "baselines": ["persistence", "operator"]},
        {"stage": "diffusion_residual", "id": "flow", "needs": ["operator"], **TRAINING},
        {**SCORED, "id": "score_flow", "needs": ["flow"], "sampler": {"kind": "euler", "steps": 2}},
        {"stage": "consistency_distillation", "id": "student", **TRAINING},
        {**SCORED, "id": "score_student", "needs": ["student"], "baselines": ["operator"]},
        {"evaluate": "report"},
    ]
    path = spec(root, *pipeline)
    assert main([str(path), "--data-root", str(root), "--runs-dir", str(root / "runs")]) == 0
    (directory,) = (root / "runs").glob("hidden-*")
    return directory


@pytest.mark.parametrize("step", ["score_ensemble", "score_flow", "score_student"])
def test_members_are_scored_beside_doing_nothing_and_random_choice(step: str, run: Path) -> None:
    results = json.loads((run / "steps" / step / "metrics.json").read_text())
    metrics, model = results["metrics"], results["model"]
    assert results["members"] == {model: 20, "random_errors": 20}
    for name in (
        "nrmse",
        "crps",
        "energy_score",
        "spread_skill",
        "rank_chi2",
        "coverage_90",
        "spectrum_error",
    ):
        assert np.isfinite(metrics[f"hidden/{name}"])
    assert metrics["hidden/spread_skill"] > 0
    for other in results["baselines"]:
        assert np.isfinite(metrics[f"hidden/{other}/crps"])
        assert (f"hidden/{other}/coverage_90" in metrics) == (other == "random_errors"), (
            "one prediction has no interval"
        )
    if step == "score_student":  # the operator stays as it was
        assert metrics["hidden/without_sampling/crps"] == metrics["hidden/operator/crps"]


def test_members_are_stored_and_their_mean_is_the_prediction(run: Path) -> None:
    with h5py.File(run / "steps" / "score_flow" / "predictions.h5") as file:
        group = file["hidden"]
        assert set(group["members"]) == {"latent_operator", "random_errors"}
        name = "latent_operator"
        members, mean = group[f"members/{name}"][()], group[f"prediction/{name}"][()]
        assert members.shape == (3, 20, 3, 1, 32)
        np.testing.assert_allclose(members.mean(axis=1), mean, rtol=1e-5, atol=1e-6)


def test_the_numbers_are_verified_and_sampled_again(run: Path, root: Path) -> None:
    said = command("ups", "verify", run, "--level", "predictions", cwd=root).stdout
    assert "MISMATCH" not in said
    assert said.count("rolled out again: the same bits") == 5


def test_the_report_shows_how_honest_an_ensemble_is(run: Path) -> None:
    page = (run / "report" / "index.html").read_text()
    assert page.count("Is the ensemble honest?") == 3
    assert "rank histogram, coverage, and spread against error of latent_operator" in page
    assert "fair estimators; members: latent_operator 20" in page
    assert page.count("hidden: energy score") == 3
    leads = re.findall(r'<p class="lead">(.*?)</p>', page, re.DOTALL)
    assert sum("without_sampling" in lead and "random_errors" in lead for lead in leads) == 3
    assert page.count("random_errors: that with the errors of random training trajectories") == 3


def test_a_baseline_after_a_flow_is_trained_as_the_operator_was(root: Path) -> None:
    rollout = {**SCORED, "baselines": ["fno"]}
    stages = [{"stage": "operator", **TRAINING}, {"stage": "diffusion_residual"}, rollout]
    said = command(
        "ups-run", spec(root, *stages), "--data-root", root, "--dry-run", "--json", cwd=root
    ).stdout
    assert {step["step"]: step["uses"] for step in json.loads(said)}["fno"] == "stage: operator"


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (
            [{"stage": "operator"}, {"stage": "consistency_distillation"}],
            "needs the artifact 'flow', but no earlier",
        ),
        ([{"stage": "diffusion_residual"}], "needs the artifact 'operator', but no earlier step"),
        (
            [{"stage": "operator", "objective": {"kind": "ensemble", "members": 1}}],
            "one member has no spread",
        ),
        (
            [{"stage": "operator", "objective": {"kind": "ensemble"}, "model": {"kind": "unet"}}],
            "'unet' takes no noise; train a latent_operator",
        ),
        (
            [{"stage": "operator", "objective": {"kind": "ensemble"}, "losses": ["mse"]}],
            "an ensemble is trained on its score; remove the losses",
        ),
    ],
)
def test_what_cannot_work_is_said_before_training(
    pipeline: list[dict[str, Any]], message: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec(root, *pipeline)
    assert main([str(path), "--plan", "--data-root", str(root), "--runs-dir", str(root / "runs")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert ":" in said.splitlines()[-1]


def test_a_sampler_for_another_model_is_refused(
    run: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = {**SCORED, "id": "wrong", "needs": ["flow"], "sampler": {"kind": "jumps"}}
    training = [
        {"stage": "operator", **TRAINING},
        {"stage": "diffusion_residual", "id": "flow", "needs": ["operator"], **TRAINING},
    ]
    path = spec(root, *training, scored)
    assert main([str(path), "--data-root", str(root), "--runs-dir", str(root / "others")]) == 1
    assert "'jumps' is not for this model; it is a flow" in capsys.readouterr().err
