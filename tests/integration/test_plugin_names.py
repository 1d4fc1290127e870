"""Names of plugins' components, `author/Name.version`, work everywhere without an id, to the end of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import command
from plugin_for_tests import with_plugin

SPEC = """\
version: 1
name: names
tasks:
  keys: {kind: advection1d, trajectories: 20, resolution: 32, frames: 4, time_stride: 10}
model: {kind: test/Net.v2, width: 6}
trainer: {accelerator: cpu, threads: 1, strategy: test/One.v2}
launcher: test/Here.v2
trackers: [test/CSV.v2]
pipeline:
  - stage: operator
    max_steps: 4
    validate_every: 2
    losses: [test/L1.v2]
    optimizer: {kind: test/SGD.v2, lr: 1e-2}
    scheduler: test/Flat.v2
    callbacks: [test/Nothing.v2]
  - stage: test/energy
    max_steps: 2
    validate_every: 1
    ema: null
  - evaluate: rollout
    split: val
    metrics: [nrmse, test/Score.v2]
    baselines: [persistence, {kind: test/Net.v2, width: 2}]
  - evaluate: test/Hello.v2
  - evaluate: report
    title: ${env:TITLE}
"""
TITLE = "s3ntinel <of> the report"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the spec has been run."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "names.yaml").write_text(SPEC)
    command("ups-run", "names.yaml", cwd=folder, PYTHONPATH=with_plugin(), TITLE=TITLE)
    return folder


def test_every_name_works_to_the_end(folder: Path) -> None:
    (run,) = (folder / "runs").glob("names-*")
    record = json.loads((run / "run.json").read_text())
    ids = ["operator", "test-energy", "test-net-v2", "rollout", "test-hello-v2", "report"]
    assert [step["id"] for step in record["steps"]] == ids
    assert {step["status"] for step in record["steps"]} == {"completed"}
    metrics = record["metrics"]
    assert metrics["rollout/keys/test-Score.v2"] < 0
    assert metrics["rollout/keys/test/Net.v2/test-Score.v2"] < 0
    assert metrics["test-hello-v2/keys/tested/operator"] == 1.0, "not the baseline"
    command("ups", "eval", "show", run, cwd=folder, PYTHONPATH=with_plugin(), TITLE=TITLE)
    again = command("ups-run", "names.yaml", cwd=folder, PYTHONPATH=with_plugin(), TITLE=TITLE)
    assert "nothing to do" in again.stderr


def test_the_report_shows_the_metric_and_the_best_of_it(folder: Path) -> None:
    (run,) = (folder / "runs").glob("names-*")
    page = (run / "report" / "index.html").read_text()
    rows = re.findall(r"<tr>(?:(?!</tr>).)*test/Score\.v2(?:(?!</tr>).)*</tr>", page, flags=re.S)
    assert rows, "a row with the name of the metric"
    assert "–" not in rows[-1]
    values = json.loads((run / "steps" / "rollout" / "metrics.json").read_text())["metrics"]
    scores = [value for key, value in values.items() if key.endswith("Score.v2")]
    marked = re.findall(r'<td[^>]*class="[^"]*best[^"]*"[^>]*>\s*([^<\s]+)', rows[-1])
    assert [float(text) for text in marked] == [pytest.approx(max(scores), rel=5e-3)]


def test_no_file_of_the_run_has_a_value_of_the_environment(folder: Path) -> None:
    (run,) = (folder / "runs").glob("names-*")
    for path in run.rglob("*"):
        assert not path.is_file() or b"s3ntinel" not in path.read_bytes(), path
    assert "${env:TITLE}" in (run / "report" / "index.html").read_text()


@pytest.mark.slow
def test_a_study_maximises_what_is_better_when_higher(folder: Path) -> None:
    arguments = "--param", "optimizer.lr=1e-6,1.0", "--metric", "rollout/keys/test-Score.v2"
    result = command(
        "ups", "tune", "names.yaml", *arguments, cwd=folder, PYTHONPATH=with_plugin(), TITLE=TITLE
    )
    assert "maximises rollout/keys/test-Score.v2" in result.stderr
    (study,) = (folder / "runs").glob("tune-*/study.json")
    content = json.loads(study.read_text())
    values = [trial["value"] for trial in content["trials"]]
    assert len(set(values)) == 2
    assert content["best"]["value"] == max(values)
