"""The main job, minute-sized: record, report, numbers that can be recomputed, and doing nothing again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from commands import FinishedRun, command
from documents import ROOT
from ups_core.sealed import read_sealed

SMOKE = ROOT / "specs" / "smoke.yaml"
PREDICT = ROOT / "tests" / "helpers" / "predict_bundle.py"


def record(run: FinishedRun) -> dict[str, object]:
    content: dict[str, object] = json.loads((run.directory / "run.json").read_text())
    return content


def test_record_answers_what_was_run_on_which_data_with_which_numbers(smoke: FinishedRun) -> None:
    content = record(smoke)
    assert content["status"] == "completed"
    assert content["command"] == ["ups-run", str(SMOKE)]
    assert [step["id"] for step in content["steps"]] == ["operator", "fno", "test", "report"]  # type: ignore[attr-defined]
    assert {step["status"] for step in content["steps"]} == {"completed"}  # type: ignore[attr-defined]
    metrics = content["metrics"]
    assert isinstance(metrics, dict)
    for key in (
        "test/advection1d/nrmse",
        "test/advection1d/persistence/nrmse",
        "test/advection1d/fno/nrmse",
        "test/darcy2d/nrmse",
        "test/darcy2d/fno/nrmse",
        "test/darcy2d/mean/nrmse",
        "operator/val/nrmse",
    ):
        assert metrics[key] > 0
    assert "test/darcy2d/persistence/nrmse" not in metrics
    data = content["data"]
    assert data["advection1d"]["source"] == "generated"  # type: ignore[index]
    assert data["advection1d"]["splits"] == {"train": 48, "val": 6, "test": 6}  # type: ignore[index]
    packages = content["environment"]["packages"]  # type: ignore[index]
    assert {"torch", "lightning", "ups-core", "ups-train"} <= set(packages)


def test_step_directories_are_complete(smoke: FinishedRun) -> None:
    names = {str(path.relative_to(smoke.directory)) for path in smoke.directory.rglob("*")}
    for name in (
        "spec.yaml",
        "events.jsonl",
        "steps/operator/metrics.jsonl",
        "steps/operator/metrics.csv",
        "steps/operator/model/weights.safetensors",
        "steps/test/metrics.json",
        "steps/test/predictions.h5",
        "report/index.html",
    ):
        assert name in names
    assert not [name for name in names if name.endswith((".partial", ".tmp", ".stale"))]


def test_scored_numbers_follow_from_stored_predictions(smoke: FinishedRun) -> None:
    """Four trajectories are stored of six; their own nRMSE must be what `metrics.json` says of them."""
    stored = json.loads((smoke.directory / "steps/test/metrics.json").read_text())
    with h5py.File(smoke.directory / "steps/test/predictions.h5") as file:
        for task in ("advection1d", "darcy2d"):
            target = file[task]["target"][...]
            prediction = file[task]["prediction"]["latent_operator"][...]
            axes = tuple(range(3, target.ndim))
            error = np.sqrt(((prediction - target) ** 2).mean(axes)) / np.sqrt((target**2).mean(axes))
            found = sorted(error.mean((1, 2)))
            known = stored["per_sample"][task]["latent_operator"]
            assert all(min(abs(value - other) for other in known) < 1e-5 for value in found)
            assert target.shape[1] == (10 if task == "advection1d" else 1), "given frames are not scored"


def test_the_run_is_verified_on_every_level(smoke: FinishedRun) -> None:
    text = command("ups", "verify", smoke.directory, "--level", "data", cwd=smoke.folder).stdout
    assert text.count("rolled out again: the same bits") == 4
    assert "scored with the weights of step operator" in text
    assert "latent_operator of step 66 (step-00000066.ckpt)" in text
    assert text.count("1D_Advection_Sols_beta0.4.hdf5: as recorded") == 1
    model = smoke.directory / "steps" / "operator" / "model"
    assert "as recorded" in command("ups", "verify", model, cwd=smoke.folder).stdout
    page = smoke.directory / "report" / "index.html"
    assert "has its own checksum" in command("ups", "verify", page, cwd=smoke.folder).stdout


def test_again_there_is_nothing_to_do(smoke: FinishedRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in smoke.folder.rglob("*")}
    result = command("ups-run", SMOKE, cwd=smoke.folder)
    assert "nothing to do: all 4 steps are done" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in smoke.folder.rglob("*")} == before
    printed = json.loads(command("ups-run", SMOKE, "--json", cwd=smoke.folder).stdout)
    assert printed == read_sealed(smoke.directory / "run.json")


def test_planning_and_looking_import_no_torch(smoke: FinishedRun) -> None:
    for call in (
        f"run.main([{str(SMOKE)!r}, '--plan'])",
        f"main.main(['validate', {str(SMOKE)!r}])",
        "main.main(['plugins'])",
        "main.main(['list'])",
        "main.main(['show', 'model', 'fno'])",
        "main.main(['schema'])",
    ):
        script = f"import sys\nfrom ups_core.cli import main, run\nassert {call} == 0\nassert 'torch' not in sys.modules\n"
        subprocess.run([sys.executable, "-c", script], cwd=smoke.folder, check=True, capture_output=True)


def test_report_stands_alone_and_shows_the_run(smoke: FinishedRun) -> None:
    page = (smoke.directory / "report/index.html").read_text()
    targets = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert targets
    assert all(target.startswith(("data:", "#")) for target in targets), "nothing is loaded from elsewhere"
    assert "<script" not in page
    for text in (
        "latent_operator",
        "persistence",
        "fno",
        "advection1d",
        "darcy2d",
        "data:image/png",
        "data:image/gif",
        "ups-run",
        "temperature",
        "generated",
    ):
        assert text in page


def test_output_is_plain_lines_off_a_terminal(smoke: FinishedRun) -> None:
    assert "\x1b" not in smoke.output
    assert re.search(r"step \d+/\d+  val nrmse \d\.\d+ \(advection1d", smoke.output)


def test_bundle_predicts_the_same_bits_without_training_code(smoke: FinishedRun) -> None:
    outputs = []
    for plugins, refused in (
        ("ups-core,ups-data,ups-models,ups-eval,ups-train", []),
        (
            "ups-core,ups-data,ups-models",
            ["lightning", "ups_train", "ups_eval", "torchmetrics", "matplotlib"],
        ),
    ):
        result = subprocess.run(
            [sys.executable, str(PREDICT), str(smoke.directory), str(smoke.folder / "data"), *refused],
            capture_output=True,
            text=True,
            env=os.environ | {"UPS_PLUGINS": plugins},
            check=False,
        )
        assert result.returncode == 0, result.stderr
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]


def test_only_repeats_one_step(smoke: FinishedRun) -> None:
    stamp = (smoke.directory / "steps/operator/step.json").stat().st_mtime_ns
    command("ups-run", SMOKE, "--only", "report", cwd=smoke.folder)
    assert (smoke.directory / "steps/operator/step.json").stat().st_mtime_ns == stamp
    assert record(smoke)["status"] == "completed"


@pytest.mark.parametrize("arguments", [["eval", "show"], ["eval", "report"]])
def test_looking_at_a_finished_run(smoke: FinishedRun, arguments: list[str]) -> None:
    command("ups", *arguments, smoke.directory, cwd=smoke.folder)


def test_the_model_is_scored_on_other_grids(smoke: FinishedRun) -> None:
    """At the resolution of its training `benchmarks/resolution.py` finds the error of the run."""
    resolutions = ["32", "64"]
    script = [sys.executable, str(ROOT / "benchmarks" / "resolution.py"), str(smoke.directory)]
    done = subprocess.run(
        [*script, "--resolutions", *resolutions], cwd=smoke.folder, capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [
        [task, points] for task in ("advection1d", "darcy2d") for points in resolutions
    ]
    metrics = record(smoke)["metrics"]
    trained = [row for row in rows if "(training)" in row]
    assert trained
    for task, _, found, *_ in trained:
        assert float(found) == pytest.approx(metrics[f"test/{task}/nrmse"], rel=1e-3)  # type: ignore[index]
