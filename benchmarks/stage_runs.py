"""What the benchmarks of stages share: run a spec, collect its numbers over seeds, print a table."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ups_data import prepare_task

Rows = dict[str, dict[str, dict[str, float]]]
"""Scored problem of a step -> row -> number -> value."""


def prepare_data(content: dict[str, Any], data: Path) -> None:
    """Generate the data of a spec, which several runs of it then share."""
    for options in content["tasks"].values():
        prepare_task(options["kind"], {key: value for key, value in options.items() if key != "kind"}, data)


def run_spec(content: dict[str, Any], folder: Path, data: Path) -> Path:
    """Run a spec in a folder and return the run's directory; a finished run is not repeated."""
    folder.mkdir(parents=True, exist_ok=True)
    name = content["name"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = [Path(sys.executable).with_name("ups-run"), path, "--runs-dir", folder / "runs"]
    done = subprocess.run(
        [*map(str, command), "--data-root", str(data)], text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"ups-run ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return max((folder / "runs").glob(f"{name}-*"), key=lambda found: found.stat().st_mtime)


def rows_of(run: Path, steps: Sequence[str], shown: Sequence[str]) -> Rows:
    """The numbers of evaluation steps, with network evaluations and milliseconds for one sample.

    Args:
        run: its directory.
        steps: ids of steps that score.
        shown: metrics; those that a step does not have are left out.
    """
    found: Rows = {}
    for step in steps:
        results = json.loads((run / "steps" / step / "metrics.json").read_text(encoding="utf-8"))
        for problem, models in results["per_step"].items():
            rows = found[f"{step}: {problem}"] = {}
            for model in models:
                start = f"{problem}/" if model == results["model"] else f"{problem}/{model}/"
                numbers = {name: results["metrics"].get(start + name) for name in shown}
                numbers["evaluations"] = results["evaluations"][problem][model]
                count = len(results["trajectories"][problem])
                numbers["ms"] = 1000 * results["seconds"][problem][model] / count
                rows[model] = {name: value for name, value in numbers.items() if value is not None}
    return found


def steps_of(run: Path, stage: str) -> int:
    """Number of optimizer steps of a training."""
    lines = (run / "steps" / stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps: int = json.loads(lines[-1])["step"]
    return steps


def table(runs: Sequence[Rows], problem: str, shown: Sequence[str]) -> str:
    """Mean and spread over runs of every row of a problem, as Markdown; not every run needs all rows."""
    lines = ["| row | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    for row in runs[0][problem]:
        cells = []
        for column in shown:
            rows = [found[problem].get(row, {}) for found in runs]
            values = [numbers[column] for numbers in rows if column in numbers]
            spread = f" ± {statistics.stdev(values):.2g}" if len(set(values)) > 1 else ""
            cells.append(f"{statistics.fmean(values):.3g}{spread}" if values else "–")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
