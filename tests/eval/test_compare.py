"""Runs side by side: arms, spread over seeds, differences and what exceeds the noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from finished import finish_step, write_run
from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_core.events import SeedsInfo
from ups_eval.compare.arms import Arm, lines, load, spec_differences
from ups_eval.compare.differences import differences
from ups_eval.page_seal import check_page
from ups_eval.plugin import ups_seeds_finished
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import TaskScore
from ups_eval.trajectory_statistics import write_statistics

COUNT = 40
DIFFICULTY = np.random.default_rng(0).lognormal(0, 1, (COUNT, 1, 1)) * np.ones((1, 5, 1))


def run(folder: Path, name: str, seed: int, factor: float, *, count: int = COUNT, **model: Any) -> Path:
    """A run whose model errs by a multiple of the trajectories' difficulty, which a seed changes by 2 %."""
    directory = folder / f"{name}-{seed}"
    random = np.random.default_rng([seed, *name.encode()])
    errors = factor * DIFFICULTY[:count] * random.lognormal(0, 0.1, (count, 1, 1)) * random.lognormal(0, 0.02)
    results, arrays = Results("net", ["persistence"], "test", names=["nrmse"]), dict[str, Any]()
    params = np.full((count, 1), 0.4)
    for row, values in (("net", errors), ("persistence", 10 * DIFFICULTY[:count])):
        score = TaskScore({"nrmse": float(values.mean())}, {}, values, params, list(range(count)), 0)
        results.add("flow", row, score, arrays)
    results.problems["flow"] = ScoredProblem(
        "evolution", ["u"], ["beta"], [(0.4, 0.4)], results.store(params, arrays), [64], [64], 1, 0.1
    )
    step = directory / "steps/test"
    step.mkdir(parents=True)
    results.write(step)
    write_statistics(step / "statistics.npz", arrays)
    finish_step(directory, "test", "x")
    spec = {
        "version": 1,
        "name": name,
        "seed": seed,
        "model": {"kind": "net", "width": 8} | model,
        "pipeline": [],
    }
    (directory / "spec.yaml").write_text(yaml.safe_dump(spec))
    write_run(directory, {"test": "completed"}, name=name, fingerprint=f"{name}{seed}" + "0" * 20)
    return directory


def arms(*runs: Path) -> list[Arm]:
    return load(runs)


def test_runs_that_differ_by_seed_alone_are_one_arm(tmp_path: Path) -> None:
    runs = [run(tmp_path, "a", seed, 1.0) for seed in range(3)]
    other = run(tmp_path, "b", 0, 1.0, width=16)
    (first, second) = arms(runs[0], other, *runs[1:])
    assert (first.label, len(first.runs), second.label, len(second.runs)) == ("a", 3, "b", 1)
    (net, persistence) = lines(first)
    assert np.mean(net.values) == pytest.approx(net.estimate.value)
    assert net.std == pytest.approx(np.std(net.values, ddof=1))
    assert net.estimate.low < net.estimate.value < net.estimate.high
    assert persistence.std == 0
    assert spec_differences(first, second) == ["model.width: 8 -> 16"]


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.6, "better"), (1.0, "within the noise"), (1.03, "within the noise"), (1.6, "worse")],
)
def test_only_what_exceeds_the_noise_is_a_difference(tmp_path: Path, factor: float, verdict: str) -> None:
    first = [run(tmp_path, "a", seed, 1.0) for seed in range(3)]
    second = [run(tmp_path, "b", seed, factor, width=16) for seed in range(3)]
    (found,) = differences(*arms(*first, *second))
    assert found.verdict == verdict
    for interval in (found.trajectories, found.seeds, found.together):
        assert interval.low < found.together.value < interval.high
    width = found.trajectories.high - found.trajectories.low
    assert found.together.high - found.together.low > width, "seeds add to the noise of trajectories"


def test_one_seed_each_has_no_interval_over_seeds(tmp_path: Path) -> None:
    (found,) = differences(*arms(run(tmp_path, "a", 0, 1.0), run(tmp_path, "b", 0, 0.99, width=16)))
    assert not found.seeds.known
    assert found.verdict == "within the noise"


def test_other_trajectories_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run(tmp_path, "a", 0, 1.0), run(tmp_path, "b", 0, 0.5, count=30, width=16)]
    assert differences(*arms(*runs)) == []
    assert ups(["compare", *map(str, runs)]) == 0
    assert "no task was scored on the same trajectories" in capsys.readouterr().out


def test_the_command_prints_all_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run(tmp_path, "a", 0, 1.0), run(tmp_path, "<b>", 0, 0.5, width=16)]
    page = tmp_path / "page.html"
    assert ups(["compare", *map(str, runs), "-o", str(page)]) == 0
    out = capsys.readouterr().out
    assert "<b> against a:" in out
    assert "better" in out
    assert "model.width: 8 -> 16" in out
    text = page.read_text()
    assert "&lt;b&gt; against a on flow" in text
    assert "<b>" not in text
    assert "http" not in re_without_namespace(text)
    check_page(page)
    assert ups(["compare", *map(str, runs), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["differences"][0]["verdict"] == "better"
    assert content["specs"] == {"<b>": ["model.width: 8 -> 16"]}


def re_without_namespace(text: str) -> str:
    return text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
        'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )


def test_seeds_get_a_page_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tuple(run(tmp_path, "a", seed, 1.0) for seed in range(3))
    ups_seeds_finished(SeedsInfo(tmp_path / "a-seeds", runs))
    assert "a-seeds/index.html" in capsys.readouterr().out
    text = (tmp_path / "a-seeds/index.html").read_text()
    assert "over 3 seeds" in text
    assert "Differences" not in text


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    one = run(tmp_path, "a", 0, 1.0)
    with pytest.raises(UPSError, match="runs of the same spec and seed; name one"):
        load([one, one])
    with pytest.raises(UPSError, match="is not a run directory"):
        load([tmp_path])
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "spec.yaml").write_text("version: 1\n")
    write_run(empty, {})
    with pytest.raises(UPSError, match="has been scored"):
        load([empty])
