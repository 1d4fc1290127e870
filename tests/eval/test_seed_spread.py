"""Mean and spread over seeds: known numbers, and refusal of what is no spread."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finished import finish_step, write_run
from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_core.finished_step import FinishedStep
from ups_eval.results import Results
from ups_eval.seed_spread import spreads


def run(folder: Path, seed: int, value: float | None, task: str = "advection1d") -> Path:
    results = Results(
        model="net",
        baselines=["persistence"],
        split="test",
        metrics={f"{task}/nrmse": value, f"{task}/persistence/nrmse": 1.0},  # type: ignore[dict-item]
        per_step={task: {"net": [0.1]}},
    )
    directory = folder / f"run{seed}"
    (directory / "steps/test").mkdir(parents=True)
    results.write(directory / "steps/test")
    finish_step(directory, "test", "x")
    write_run(directory, {"test": "completed"}, fingerprint=str(seed))
    return directory


def read(run: Path) -> Results:
    found = Results.read(FinishedStep.read(run, "test"))
    assert found is not None
    return found


def test_mean_and_sample_deviation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run(tmp_path, seed, value) for seed, value in enumerate([0.1, 0.2, 0.3])]
    net, persistence = spreads(runs, [read(item) for item in runs])
    assert (net.model, net.mean, net.std) == ("net", pytest.approx(0.2), pytest.approx(0.1))
    assert (persistence.mean, persistence.std) == (1.0, 0.0)
    assert ups(["eval", "spread", *map(str, runs)]) == 0
    assert "advection1d  net          0.200       0.100  0.100 0.200 0.300" in capsys.readouterr().out
    assert ups(["eval", "spread", "--json", *map(str, runs)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["nrmse"] == [0.1, 0.2, 0.3]


def test_what_is_no_spread(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", 1, 0.1), run(tmp_path / "b", 2, 0.1, task="darcy2d")
    for runs, message in (
        ([one], "two runs or more, got 1"),
        ([one, one], "runs of the same spec and seed; name one"),
        ([one, other], "scored other models"),
    ):
        with pytest.raises(UPSError, match=message):
            spreads(runs, [read(item) for item in runs])
