"""The benchmarks run, at a size that takes seconds; what they measure is not asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import TINY, FinishedRun
from documents import ROOT

BENCHMARKS = ROOT / "benchmarks"


def run(script: str, *arguments: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_intervals(tmp_path: Path) -> None:
    run("intervals.py", "--pairs", "2", "--repeats", "2", cwd=tmp_path)


def test_classical_solvers(tmp_path: Path) -> None:
    run("classical.py", "--small", "--trajectories", "1", "--json", "rows.json", cwd=tmp_path)
    rows = json.loads((tmp_path / "rows.json").read_text())
    error = {(row["task"], row["value"]): row["nrmse"] for row in rows}
    assert len(error) == 6
    assert error["advection1d", 0.10000000149011612] < 1e-3
    assert all(value < 0.2 for value in error.values())


def test_muon_compares_both_kinds(tmp_path: Path) -> None:
    times = json.loads(run("muon.py", "--repeats", "1", "--json", cwd=tmp_path))
    assert set(times) == {"torch.optim.Muon", "ups_train.optimizers.muon.Float32Muon"}


def test_memory_of_predictions(smoke: FinishedRun, tmp_path: Path) -> None:
    options = "--inputs", "2", "3", "--steps", "1", "--ending", ".npy"
    rows = run("predict_memory.py", str(smoke.directory), *options, cwd=tmp_path).splitlines()
    assert [row.split()[:2] for row in rows[1:]] == [[".npy", "2"], [".npy", "3"]]
    assert all(float(row.split()[3]) > 10 for row in rows[1:])


def test_generators_are_timed(tmp_path: Path) -> None:
    tasks = ["advection1d", "darcy2d", "reaction_diffusion1d"]
    found = json.loads(run("generate.py", *tasks, "--repeats", "1", "--json", cwd=tmp_path))
    assert found["cores"] >= 1
    assert {row["task"] for row in found["generators"]} == set(tasks)
    assert all(row["seconds"] > 0 and row["error"] <= row["limit"] for row in found["generators"])


@pytest.mark.slow
def test_accuracy_trains_scores_reports_and_resumes(tmp_path: Path) -> None:
    options = [
        "--budget",
        "0.4",
        "--sweep-budget",
        "0.2",
        "--tasks",
        "darcy2d",
        "--seeds",
        "1",
        "--threads",
        "1",
        "--models",
        "latent_small",
        "--results",
        "results",
        "--report",
        "report",
        "--small",
    ]
    first = run("accuracy.py", *options, cwd=tmp_path)
    assert "1 final runs and what chooses" in first
    rows = json.loads((tmp_path / "report" / "accuracy.json").read_text())
    assert {row["model"] for row in rows} == {"latent_small", "mean"}
    assert all(
        0 < row["mean"] < 2 and row["interval"][0] <= row["mean"] <= row["interval"][1] for row in rows
    )
    assert "| latent operator, small | 1 |" in (tmp_path / "report" / "accuracy.md").read_text()
    assert "| validation after 0.4 s |" in (tmp_path / "report" / "accuracy.md").read_text()
    confirmed = list((tmp_path / "results" / "0.4s" / "darcy2d").glob("*/sweep-*.json"))
    assert len(confirmed) == 2  # the two best rates
    assert (tmp_path / "report" / "accuracy.png").stat().st_size > 10_000
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}
    second = run("accuracy.py", *options, cwd=tmp_path)
    assert "final runs and what chooses" not in second
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}


def test_inference_times_every_model_in_every_round(tmp_path: Path) -> None:
    out = run(
        "inference.py",
        "--rounds",
        "3",
        "--threads",
        "1",
        "--small",
        "--tasks",
        "advection1d",
        "--output",
        "times.json",
        "--models",
        "latent_small",
        "pdebench_fno",
        cwd=tmp_path,
    )
    times = json.loads((tmp_path / "times.json").read_text())["seconds"]["advection1d"]
    assert set(times) == {"latent_small", "latent_small (latent)", "pdebench_fno"}
    assert all(len(seconds) == 3 for seconds in times.values())
    assert "| latent operator, small (latent) |" in out


@pytest.mark.slow
def test_overhead_trains_the_same_thing_in_turn(tmp_path: Path) -> None:
    options = "--small", "--rounds", "1", "--steps", "40", "--threads", "1", "--output", "overhead.json"
    out = run("overhead.py", *options, cwd=tmp_path)
    assert "ms through ups-run, " in out
    assert "ms more (mean and standard error of turns); ratio " in out
    (turns,) = json.loads((tmp_path / "overhead.json").read_text())["rounds"]
    assert len(turns["ours"]) == len(turns["bare"]) == 3
    assert min(turns["ours"] + turns["bare"]) > 0


@pytest.mark.slow
def test_overhead_tells_what_safety_costs(tmp_path: Path) -> None:
    out = run("overhead.py", "--small", "--steps", "20", "--threads", "1", "--guards", cwd=tmp_path)
    assert "checkpoints: " in out
    assert "finite losses and gradients: 40 calls" in out
    assert "in all " in out


@pytest.mark.slow
def test_gpu_measures_every_case_on_the_device_at_hand(tmp_path: Path) -> None:
    out = run("gpu.py", "--batch", "1", "--steps", "1", "--output", "gpu.json", cwd=tmp_path)
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {"32, eager", "32, compiled, recompute", "bf16-mixed, eager, recompute"} <= {
        row["case"] for row in rows
    }
    assert all(row["ms"] > 0 for row in rows)
    assert "| case | ms/step |" in out


@pytest.mark.slow
def test_optimizers_compares_two_joint_models(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    out = run(
        "optimizers.py",
        "--budget",
        "0.3",
        "--sweep-budget",
        "0.1",
        "--seeds",
        "1",
        "--threads",
        "1",
        "--small",
        "--results",
        "results",
        "--report",
        "report",
        cwd=tmp_path,
    )
    assert "| Muon hybrid |" in out
    assert "| AdamW |" in out
    assert (tmp_path / "report" / "optimizers.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_cost_of_checksums_is_measured(tmp_path: Path) -> None:
    tiny = [word for value in TINY for word in ("--set", value)]
    printed = run("checksums.py", "--spec", str(ROOT / "specs" / "smoke.yaml"), *tiny, cwd=tmp_path)
    found = json.loads(printed[: printed.rindex("}") + 1])
    assert found["calls"]["checkpoints in memory"] >= 1
    assert found["calls"]["ups_data.stores.checksums.sum_of"] >= 2
    assert 0 < found["checksum_seconds"] < found["run_seconds"]


@pytest.mark.slow
def test_a_prior_and_test_time_compute(tmp_path: Path) -> None:
    small = [
        "--seeds",
        "1",
        "--budget",
        "2",
        "--samples",
        "60",
        "--limit",
        "10",
        "--resolution",
        "16",
        "--members",
        "2",
        "--out",
        "found.json",
    ]
    model = "--model", "{kind: unet, width: 4, levels: 2}"
    run("stages_steady.py", "--case", "random_field", *small, *model, "--folder", "runs", cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())["random_field"]
    assert list(found) == [
        "observed_0_03: darcy_grf.forward",
        "observed_0_03: darcy_grf.inverse",
        "ttc: darcy_grf",
    ]
    assert found["ttc: darcy_grf"]["choice"]["evaluations"] == 2 * 7
    assert found["ttc: darcy_grf"]["no_choice"]["evaluations"] == 1
    assert found["observed_0_03: darcy_grf.forward"]["kriging"]["evaluations"] == 0


@pytest.mark.slow
def test_losses_of_physics(tmp_path: Path) -> None:
    small = [
        "--seeds",
        "1",
        "--budget",
        "1",
        "--samples",
        "20",
        "--weights",
        "1",
        "--out",
        "found.json",
        "--folder",
        "runs",
    ]
    run("stages_physics.py", "--task", "diffusion_sorption1d", *small, cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())["diffusion_sorption1d"]
    assert list(found["diffusion_sorption1d"]) == ["without", "bounds_1", "bounds_conflict_free"]


@pytest.mark.slow
def test_tiles(tmp_path: Path) -> None:
    small = ["--seeds", "1", "--budget", "1", "--trajectories", "10", "--cells", "128", "--out", "found.json"]
    run("stages_tiles.py", "--dim", "2", *small, "--folder", "runs", cwd=tmp_path)
    (found,) = json.loads((tmp_path / "found.json").read_text())["2d"]
    rows = found["2d"]
    assert rows["tiles_64"]["MB"] < rows["complete"]["MB"]
    assert all(row["nrmse"] > 0 for row in rows.values())
