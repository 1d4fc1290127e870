"""The `rollout` step: real bundles and baselines, data in memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ups_core import Component, StepContext, UPSError
from ups_core.component import validate_options
from ups_core.console import Console
from ups_core.plugin_loader import registry_in_use
from ups_eval.config import RolloutConfig
from ups_eval.predictions import read_predictions
from ups_eval.results import Results
from ups_eval.rollout_step import RolloutStep
from ups_models.bundle import save_bundle
from ups_models.device import choose_device
from ups_models.simulator import build_simulator

SMALL = {
    "fno": {"width": 4, "modes": 3, "layers": 1},
    "latent_operator": {"width": 8, "middle_width": 8, "local_width": 4, "depth": {"2": 1}},
}


def rollout_config(**options: Any) -> RolloutConfig:
    config = validate_options(RolloutConfig, options, registry_in_use())
    assert isinstance(config, RolloutConfig)
    return config


def save(directory: Path, kind: str, tasks: dict[str, Any]) -> Path:
    """A 'training step' that saved an untrained model."""
    registry = registry_in_use()
    entry = registry.get("models", kind)
    component = Component(entry, validate_options(entry.load_config(), SMALL.get(kind, {}), registry))
    torch.manual_seed(0)
    simulator = build_simulator(
        component,
        {name: task.info for name, task in tasks.items()},
        {name: task.statistics for name, task in tasks.items()},
    )
    save_bundle(directory / "model", simulator, component, "fingerprint")
    return directory


@pytest.fixture
def context(tmp_path: Path, advection: Any, darcy: Any) -> StepContext:
    """A run whose newest simulator is an FNO."""
    tasks = {"advection1d": advection, "darcy2d": darcy}
    trained = save(tmp_path / "steps" / "operator", "fno", tasks)
    (tmp_path / "out").mkdir()
    return StepContext(
        spec=SimpleNamespace(trainer=SimpleNamespace(accelerator="cpu", threads=1)),  # type: ignore[arg-type]
        step_id="test",
        directory=tmp_path / "out",
        inputs={"simulator": trained},
        artifacts={"simulator": {"operator": trained}},
        run_directory=tmp_path,
        data_root=tmp_path,
        tasks=tasks,
        console=Console(quiet=True),
    )


def test_scores_the_model_and_baselines_on_the_same_trajectories(context: StepContext) -> None:
    step = RolloutStep(rollout_config(baselines=["persistence", "mean"], save_predictions=3))
    metrics = step.run(context).metrics
    assert metrics["advection1d/nrmse"] == pytest.approx(metrics["advection1d/persistence/nrmse"], rel=0.2), (
        "an untrained network starts near persistence"
    )
    assert metrics["darcy2d/mean/nrmse"] == pytest.approx(1), "the statistics say that the mean is zero"
    assert not any(key.startswith("darcy2d/persistence") for key in metrics), (
        "nothing persists in a steady task"
    )
    assert metrics["advection1d/mean/diverged"] == 0
    results = Results.load(context.directory / "metrics.json")
    assert results is not None
    assert (results.model, results.baselines) == ("fno", ["persistence", "mean"])
    assert results.parameters["persistence"] == 0
    assert results.parameters["fno"] > 0
    assert results.trajectories["advection1d"] == [100, 101, 102, 103, 104]
    curve = results.per_step["advection1d"]["fno"]
    assert math.fsum(curve) / len(curve) == pytest.approx(metrics["advection1d/nrmse"])
    stored = read_predictions(context.directory / "predictions.h5")["advection1d"]
    assert set(stored.predictions) == {"fno", "persistence", "mean"}
    errors = results.per_sample["advection1d"]["fno"]
    assert stored.nrmse["fno"][stored.picks["worst"]] == pytest.approx(max(errors), rel=1e-5)
    assert stored.nrmse["fno"][stored.picks["best"]] == pytest.approx(min(errors), rel=1e-5)
    assert len(stored.index) == 3


def test_evaluation_has_no_variance(context: StepContext) -> None:
    step = RolloutStep(rollout_config(save_predictions=0, metrics=["nrmse", "frmse_low"]))
    first = step.run(context).metrics
    assert step.run(context).metrics == first
    rows = ("advection1d", "advection1d/persistence", "darcy2d")
    expected = {f"{task}/{metric}" for task in rows for metric in ("nrmse", "frmse_low", "diverged")}
    of_fields = {f"{row}/spectrum_error" for row in rows}
    of_fields |= {f"{row}/{name}" for row in rows[:2] for name in ("mean_drift", "one_step", "semigroup")}
    assert set(first) == expected | of_fields | {"advection1d/truth/mean_drift"}
    assert not (context.directory / "predictions.h5").exists()


def test_an_earlier_step_serves_as_baseline_and_names_never_collide(context: StepContext) -> None:
    trained = context.artifacts["simulator"]
    trained["fno"] = trained["operator"]  # type: ignore[index]
    metrics = RolloutStep(rollout_config(baselines=["fno"], save_predictions=0)).run(context).metrics
    assert metrics["darcy2d/fno/nrmse"] == metrics["darcy2d/nrmse"]
    results = Results.load(context.directory / "metrics.json")
    assert results is not None
    assert results.models == ["fno (model)", "fno"]


def test_a_latent_rollout_is_a_row_of_its_own(context: StepContext, tmp_path: Path) -> None:
    trained = save(tmp_path / "steps" / "latent", "latent_operator", dict(context.tasks))
    context.inputs["simulator"] = trained  # type: ignore[index]
    metrics = RolloutStep(rollout_config(latent_rollout=True, save_predictions=2)).run(context).metrics
    assert 0 <= metrics["advection1d/reconstruction"] < 1e-5, "the state itself is carried"
    ordinary, latent = (metrics[f"advection1d/{name}nrmse"] for name in ("", "latent_rollout/"))
    assert latent == pytest.approx(ordinary, rel=1e-3), "an untrained operator is persistence either way"
    assert not any("darcy2d" in key and ("latent" in key or "reconstr" in key) for key in metrics)


def test_an_untrained_network_is_no_baseline(context: StepContext) -> None:
    with pytest.raises(UPSError, match="baseline 'fno' must be trained"):
        RolloutStep(rollout_config(baselines=["fno"])).run(context)
    with pytest.raises(UPSError, match="unknown model 'persistance'; did you mean 'persistence'"):
        RolloutStep(rollout_config(baselines=["persistance"])).run(context)


def test_options_are_checked() -> None:
    assert [metric.kind for metric in rollout_config().metrics][:3] == ["rmse", "nrmse", "crmse"]
    assert [need.model for need in rollout_config(baselines=["fno", "mean"]).requirements()] == [
        "fno",
        "mean",
    ]
    for options, message in (
        ({"metrics": ["rmse"]}, "'nrmse' is missing"),
        ({"metrics": ["nrmse", "nrmse"]}, "named twice: nrmse"),
        (
            {"ensemble_metrics": ["crps"]},
            "crps compare members of an ensemble, and members is 1; set members",
        ),
        ({"baselines": ["random_errors"]}, "'random_errors' is what the step itself scores"),
        ({"metrics": ["nrsme"]}, "did you mean"),
        ({"baselines": ["mean", "mean"]}, "named twice"),
        ({"save_predictions": -2}, "greater than or equal to -1"),
        ({"split": "all"}, "'train', 'val' or 'test'"),
    ):
        with pytest.raises(ValueError, match=message):
            rollout_config(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(UPSError, match="accelerator is 'gpu'"):
        choose_device("gpu")


def test_planning_imports_neither_torch_nor_matplotlib() -> None:
    import subprocess
    import sys

    code = (
        "import sys, json, ups_eval.plugin, ups_eval.config;"
        "print(json.dumps([m for m in ('torch', 'matplotlib', 'h5py', 'numpy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_registered_factory_can_be_loaded() -> None:
    own = [entry for entry in registry_in_use().entries() if entry.provider.distribution == "ups-eval"]
    assert len(own) == 32
    needed = {"gate": {"criteria": [{"max": 1.0}]}}
    for entry in own:
        options = needed[entry.name] if entry.kind == "evaluations" and entry.name in needed else {}
        entry.load()(entry.load_config()(**options))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_rollout_says_which_split_its_metrics_are_measured_on(split: str) -> None:
    """`ups tune` minimises metrics of the validation split only."""
    assert rollout_config(split=split).measures == split
