"""A prior, inferences from points and test-time compute from one spec with an evolution beside a steady task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from commands import command
from ups_core import SpecError
from ups_core.cli.run import main
from ups_core.plan import Plan
from ups_core.planner import make_plan
from ups_core.validate import load_spec
from ups_eval.predictions import read_predictions

TRAINING = {"max_steps": 4, "validate_every": 2, "batch_size": 4, "validation_trajectories": 4}
SPEC: dict[str, Any] = {
    "version": 1,
    "name": "steady",
    "tasks": {
        "waves": {"kind": "advection1d", "trajectories": 20, "resolution": 32, "frames": 4},
        "darcy": {"kind": "darcy_grf", "trajectories": 60, "resolution": 16},
    },
    "model": {"kind": "unet", "width": 4, "levels": 2},
    "trainer": {"accelerator": "cpu", "threads": 1},
    "pipeline": [
        {
            "stage": "operator",
            **TRAINING,
            "losses": [
                "relative_l2",
                {"kind": "residual", "weight": 0.1},
                {"kind": "invariants", "weight": 0.1},
            ],
            "gradients": "conflict_free",
        },
        {"evaluate": "rollout", "id": "test", "baselines": ["persistence", "mean"]},
        {"stage": "steady_prior", "id": "prior", "sampler": {"steps": 2}, "noise": 0.1, **TRAINING},
        {
            "evaluate": "observations",
            "directions": ["forward", "inverse", "both"],
            "points": 12,
            "noise": 0.05,
            "members": 2,
            "baselines": ["mean", "nearest", "rbf", "kriging", "kriging_solve"],
        },
        {"evaluate": "ttc", "members": 4, "refine": [1, 2]},
        {
            "evaluate": "gate",
            "criteria": [{"metric": "nrmse", "against": "random_choice"}],
            "needs": ["ttc"],
            "on_fail": "continue",
        },
        {"evaluate": "report"},
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    root = tmp_path_factory.mktemp("steady")
    path = root / "steady.yaml"
    path.write_text(yaml.safe_dump(SPEC, sort_keys=False))
    assert main([str(path), "--data-root", str(root), "--runs-dir", str(root / "runs")]) in (0, 3)
    (directory,) = (root / "runs").glob("steady-*")
    return directory


def results(run: Path, step: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "steps" / step / "metrics.json").read_text())
    return found


def test_every_direction_is_scored_beside_classical_methods(run: Path) -> None:
    found = results(run, "observations")
    rows = {problem: list(models) for problem, models in found["per_step"].items()}
    assert rows == {
        "darcy.forward": [
            "posterior", "expected", "posterior_solve", "mean", "nearest", "rbf", "kriging", "kriging_solve",
        ],
        "darcy.inverse": ["posterior", "expected", "mean", "nearest", "kriging"],
        "darcy.both": ["posterior", "expected", "mean", "nearest", "rbf", "kriging"],
    }  # fmt: skip
    assert 0 < found["metrics"]["darcy.inverse/error_rate"] < 1
    assert (
        found["metrics"]["darcy.inverse/kriging/error_rate"]
        < found["metrics"]["darcy.inverse/mean/error_rate"]
    )
    assert "darcy.forward/error_rate" not in found["metrics"]
    assert found["evaluations"]["darcy.forward"]["posterior"] == 2 * 3
    assert found["evaluations"]["darcy.forward"]["expected"] == 1
    assert "crps" in "".join(found["metrics"])


def test_only_what_is_observed_is_kept_for_pictures(run: Path) -> None:
    kept = read_predictions(run / "steps" / "observations" / "predictions.h5")
    for problem, points in (("forward", [12, 0]), ("inverse", [0, 12]), ("both", [12, 12])):
        known = np.isfinite(kept[f"darcy.{problem}"].static)
        assert (known.sum(axis=(2, 3)) == points).all()
    page = (run / "report" / "index.html").read_text()
    assert page.count("given: known_a") >= 2
    assert "given: known_u" in page
    assert "spread" in page


def test_test_time_compute_is_scored_beside_chance(run: Path) -> None:
    found = results(run, "ttc")
    assert list(found["per_step"]) == ["darcy"], "a prior knows no evolution"
    error = {model: sum(curve) for model, curve in found["per_step"]["darcy"].items()}
    assert error["oracle_choice"] <= error["choice"] * (1 + 1e-6)
    assert error["oracle_choice"] < error["random_choice"]
    assert error["refined_2"] <= error["refined_1"] < error["no_choice"]
    evaluations = found["evaluations"]["darcy"]
    assert evaluations == {
        "choice": 12, "no_choice": 1, "random_choice": 3, "mean_of_candidates": 12, "oracle_choice": 12,
        "combined": 12, "refined_1": 1, "iterations_1": 0, "refined_2": 1, "iterations_2": 0,
    }  # fmt: skip


def test_the_report_and_the_audit_know_these_steps(run: Path) -> None:
    page = (run / "report" / "index.html").read_text()
    for text in ("darcy.inverse", "kriging_solve", "oracle_choice", "error_rate", "evaluations"):
        assert text in page
    assert "MISMATCH" not in command("ups", "verify", str(run), cwd=run.parent).stdout


def test_the_same_command_does_nothing_again(run: Path) -> None:
    root = run.parents[1]
    before = (run / "steps" / "prior" / "step.json").read_bytes()
    arguments = [str(root / "steady.yaml"), "--data-root", str(root), "--runs-dir", str(root / "runs")]
    assert main(arguments) in (0, 3)
    assert (run / "steps" / "prior" / "step.json").read_bytes() == before


HELD = {"kind": "ensemble", "noise": {"hold": True}}
FNO = {"kind": "fno", "modes": 2}
OPERATOR, PRIOR = {"stage": "operator", "epochs": 1}, {"stage": "steady_prior", "epochs": 1}
FLOW, STUDENT = (
    {"stage": "diffusion_residual", "epochs": 1},
    {"stage": "consistency_distillation", "epochs": 1},
)


def planned(root: Path, pipeline: list[dict[str, Any]]) -> Plan:
    path = root / "stages.yaml"
    path.write_text(yaml.safe_dump(SPEC | {"pipeline": pipeline}, sort_keys=False))
    spec, document = load_spec(path)
    return make_plan(spec, document, runs_dir=root / "runs", data_root=root)


def test_a_flow_and_baselines_pass_over_a_prior(tmp_path: Path) -> None:
    plan = planned(tmp_path, [OPERATOR, PRIOR, FLOW, {"evaluate": "rollout", "baselines": [FNO]}])
    assert plan.step("diffusion_residual").inputs == {"operator": "operator"}
    assert plan.step("fno").spec.entry.name == "operator"


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ([PRIOR, FLOW], "pipeline[1]: step 'diffusion_residual' needs the artifact 'operator', but no"),
        (
            [OPERATOR, PRIOR, {**FLOW, "needs": ["steady_prior"]}],
            "pipeline[2].needs[0]: 'diffusion_residual' consumes operator, and 'steady_prior' produces none",
        ),
        ([OPERATOR, {**PRIOR, "init": {"step": "operator"}}], "init.step: 'operator' trains no prior"),
        ([PRIOR, {**OPERATOR, "init": {"step": "steady_prior"}}], "init.step: 'steady_prior' trains no oper"),
        ([OPERATOR, {**FLOW, "init": {"step": "operator"}}], "init.step: 'operator' trains no flow"),
        (
            [OPERATOR, FLOW, {**STUDENT, "init": {"step": "diffusion_residual"}}],
            "init.step: 'diffusion_residual' trains no student",
        ),
        (
            [OPERATOR, FLOW, {**STUDENT, "model": FNO}],
            "model: the teacher is not this network with these options; give both stages the same 'model'",
        ),
        (
            [OPERATOR, {**FLOW, "model": FNO}, STUDENT],
            "pipeline[2].model: the teacher is not this network",
        ),
        (
            [OPERATOR, {**FLOW, "sampler": {"every": 2}}, {"evaluate": "ttc"}],
            "pipeline[2].needs: the model has sampler.every: 2, so its rollouts differ",
        ),
        (
            [OPERATOR, FLOW, {**STUDENT, "sampler": {"every": 3}}, {"evaluate": "ttc"}],
            "pipeline[3].needs: the model has sampler.every: 3, so",
        ),
        (
            [{**OPERATOR, "model": {"kind": "latent_operator"}, "objective": HELD}, {"evaluate": "ttc"}],
            "pipeline[1].needs: the model has objective.noise.hold: true, so its rollouts differ",
        ),
        (
            [OPERATOR, {"evaluate": "observations"}],
            "needs the artifact 'prior', but no earlier step produces",
        ),
        (
            [{**PRIOR, "noise": 0.1}, {"evaluate": "observations", "noise": 0.2}],
            "pipeline[1].noise: noise 0.2 is more than the 0.1 that the prior was trained with; train it with",
        ),
        (
            [
                {**PRIOR, "unconditional": 0.0},
                {"evaluate": "observations", "sampler": {"guidance": 2}},
            ],
            "pipeline[1].sampler.guidance: guidance 2 needs a prior that was trained without observations",
        ),
        (
            [{**PRIOR, "unconditional": 0.0, "sampler": {"guidance": 1.5}}],
            "pipeline[0].sampler.guidance: guidance 1.5 needs a prior",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_at_its_line(
    pipeline: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as refused:
        planned(tmp_path, pipeline)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{tmp_path / 'stages.yaml'}:")
    assert message in line


def test_models_that_are_spelled_differently_but_equal_are_one(tmp_path: Path) -> None:
    plan = planned(tmp_path, [OPERATOR, FLOW, {**STUDENT, "model": SPEC["model"]}])
    assert plan.step("consistency_distillation").inputs == {"flow": "diffusion_residual"}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (OPERATOR, "is a prior, and the step trains an operator; name another bundle"),
        ({**FLOW, "needs": ["operator"]}, "is a prior, and the step trains a flow or student"),
        (PRIOR, "was trained on another 'darcy': shape (16, 16), not (8, 8)"),
    ],
)
def test_a_saved_prior_is_a_start_for_priors_alone(
    stage: dict[str, Any], message: str, run: Path, tmp_path: Path
) -> None:
    bundle = str(run / "steps" / "prior" / "model")
    darcy = SPEC["tasks"]["darcy"] | ({"resolution": 8} if stage is PRIOR else {})
    path = tmp_path / "started.yaml"
    pipeline = [{**OPERATOR, "id": "operator"}, {**stage, "id": "started", "init": {"bundle": bundle}}]
    path.write_text(yaml.safe_dump(SPEC | {"tasks": SPEC["tasks"] | {"darcy": darcy}, "pipeline": pipeline}))
    spec, document = load_spec(path)
    with pytest.raises(SpecError) as refused:
        make_plan(spec, document, runs_dir=tmp_path / "runs", data_root=tmp_path)
    assert message in str(refused.value)
    assert "pipeline[1].init.bundle" in str(refused.value)
