"""Tables and figure of `benchmarks/accuracy.py`, from the JSON files that its runs leave."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "latent_operator"
PEERS = ("unet_muon", "unet_adamw", "neuraloperator_fno", "pdebench_fno")
DRAWS = 2000
JOINT_NAMES = {OURS: "joint", "latent_adamw": "joint_adamw"}
NAMES = {
    "joint": "latent operator, both tasks in one model",
    "joint_adamw": "the same, AdamW",
    "persistence": "persistence",
    "mean": "mean of the training solutions",
    "latent_operator": "latent operator (ours)",
    "latent_small": "latent operator, small",
    "latent_rollout": "latent operator trained for latent rollouts",
    "unet_muon": "ConvNeXt U-Net, Muon hybrid",
    "unet_adamw": "ConvNeXt U-Net, AdamW",
    "neuraloperator_fno": "neuraloperator FNO",
    "pdebench_fno": "FNO, PDEBench's configuration",
    "pdet_stack": "latent operator, trunk pdet_stack",
    "pdet_unet": "latent operator, trunk pdet_unet",
}

Runs = dict[tuple[str, str], list[dict[str, Any]]]


def write_report(results: Path, budget: float, target: Path, rates: Sequence[float], sweep: float) -> None:
    """Write `accuracy.md`, `accuracy.json` and `accuracy.png` from the final runs of this budget."""
    runs = _load(results, budget)
    if not runs:
        print(f"no finished runs of {budget:g} s below {results}")
        return
    rows = [_row(task, name, group) for (task, name), group in runs.items()]
    target.mkdir(parents=True, exist_ok=True)
    (target / "accuracy.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    text = _markdown(rows, runs, results, budget, rates, sweep)
    (target / "accuracy.md").write_text(text, encoding="utf-8")
    _figure(runs, target / "accuracy.png")
    print(text)


def _load(results: Path, budget: float) -> Runs:
    """(task, contender) -> final runs; a joint run stands under each of its tasks as `joint`."""
    runs: Runs = defaultdict(list)
    for path in sorted(results.glob("*/*/*/seed*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        tasks = found["task"].split("+")
        if found["budget"] != budget * len(tasks):
            continue
        for task in tasks:
            name = found["contender"] if len(tasks) == 1 else JOINT_NAMES[found["contender"]]
            runs[task, name].append(found | found["test"][task])
    return runs


def _row(task: str, name: str, group: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [found["nrmse"] for found in group]
    samples = np.array([found["per_sample"] for found in group])
    low, high = _interval(samples.mean(axis=0))
    by_value: dict[str, float] = {}
    if len(set(group[0]["values"])) > 1:
        values = np.array(group[0]["values"])
        by_value = {f"{value:g}": float(samples[:, values == value].mean()) for value in np.unique(values)}
    row = {
        "task": task,
        "model": name,
        "seeds": len(group),
        "mean": statistics.fmean(errors),
        "spread": statistics.stdev(errors) if len(errors) > 1 else None,
        "interval": [low, high],
        "median": float(np.median(samples)),
        "by_value": by_value,
        "parameters": group[0]["parameters"],
        "steps": statistics.fmean(found["steps"] for found in group),
        "rate": group[0]["rate"],
    }
    for extra in ("shuffled", "latent", "reconstruction"):
        if extra in group[0]:
            row[extra] = statistics.fmean(found[extra] for found in group)
    return row


def _interval(samples: np.ndarray[Any, Any]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over test trajectories."""
    random = np.random.default_rng(0)
    means = random.choice(samples, (DRAWS, len(samples))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _markdown(
    rows: list[dict[str, Any]], runs: Runs, results: Path, budget: float, rates: Sequence[float], sweep: float
) -> str:
    first = next(iter(runs.values()))[0]
    text = (
        f"{budget:g} s of training steps a task on {first['threads']} threads, torch {first['torch']}. nRMSE "
        "of whole rollouts on test trajectories (given frames not scored), mean over seeds ± deviation, 95 % "
        "bootstrap interval over trajectories. Learning rate: best of "
        f"{', '.join(f'{rate:g}' for rate in rates)} on the validation rollout of {sweep:g} s runs, for "
        f"every model, and of {budget:g} s runs where a task's table shows them; the test split is opened "
        "once a final run.\n"
    )
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = sorted((row for row in rows if row["task"] == task), key=lambda row: float(row["mean"]))
        text += f"\n### {task}\n\n" + _errors(of_task) + _by_value(of_task) + _inside(of_task)
        text += _sweeps(results, task, [row["model"] for row in of_task], rates, (sweep, budget))
    return text


def _errors(rows: list[dict[str, Any]]) -> str:
    peers = [row["mean"] for row in rows if row["model"] in PEERS]
    head = "model", "seeds", "nRMSE", "interval", "/ best peer", "lr", "steps", "parameters"
    return _table(
        head,
        [
            (
                _name(row),
                row["seeds"],
                _short(row["mean"]) + (f" ± {_short(row['spread'])}" if row["spread"] is not None else ""),
                f"{_short(row['interval'][0])} – {_short(row['interval'][1])}",
                f"{row['mean'] / min(peers):.3f}" if peers else "",
                f"{row['rate']:g}" if row["rate"] else "",
                f"{row['steps']:.0f}",
                f"{row['parameters']:,}",
            )
            for row in rows
        ],
    )


def _by_value(rows: list[dict[str, Any]]) -> str:
    """Errors by the value of the PDE's parameter, where there are several."""
    rows = [row for row in rows if row["by_value"]]
    if not rows:
        return ""
    values = list(rows[0]["by_value"])
    cells = [(_name(row), *(_short(row["by_value"][value]) for value in values)) for row in rows]
    return "\n" + _table(("by parameter value", *values), cells)


def _inside(rows: list[dict[str, Any]]) -> str:
    """What only latent operators have."""
    rows = [row for row in rows if "shuffled" in row]
    if not rows:
        return ""
    head = "inside", "error with wrong parameters", "latent rollout", "reconstruction"
    cells = [
        (
            _name(row),
            f"{row['shuffled'] / row['mean']:.1f} ×",
            _short(row["latent"]),
            f"{row['reconstruction']:.1e}",
        )
        for row in rows
    ]
    return "\n" + _table(head, cells)


def _sweeps(
    results: Path, task: str, models: Sequence[str], rates: Sequence[float], seconds: Sequence[float]
) -> str:
    """Validation errors of the runs by which learning rates are chosen."""
    text = ""
    for length in seconds:
        folders = {model: results / f"{length:g}s" / task / model for model in models}
        cells = [
            (NAMES[model], *(_validation(folder / f"sweep-{rate:g}.json") for rate in rates))
            for model, folder in folders.items()
            if any(folder.glob("sweep-*.json"))
        ]
        if cells:
            text += "\n" + _table(
                (f"validation after {length:g} s", *(f"lr {rate:g}" for rate in rates)), cells
            )
    return text


def _validation(path: Path) -> str:
    return _short(json.loads(path.read_text(encoding="utf-8"))["validation"]) if path.exists() else ""


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _name(row: dict[str, Any]) -> str:
    model: str = row["model"]
    return NAMES.get(model, model)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "diverged"
    return f"{value:.2e}" if value < 1e-3 else f"{value:.4f}"


def _figure(runs: Runs, path: Path) -> None:
    """Error against training time (validation) and against the rollout step (test), a row a task."""
    tasks = list(dict.fromkeys(task for task, _ in runs))
    figure, axes = plt.subplots(len(tasks), 2, figsize=(11, 3.4 * len(tasks)), squeeze=False)
    names = list(dict.fromkeys(name for _, name in runs))
    colours = {name: f"C{index}" for index, name in enumerate(names)}
    for row, task in zip(axes, tasks, strict=True):
        for name in names:
            group = runs.get((task, name))
            if not group:
                continue
            style = {"color": colours[name], "linewidth": 2.4 if name == OURS else 1.3}
            for number, found in enumerate(group):
                curve = np.array(found["curve"], dtype=float)
                label = NAMES.get(name, name) if number == 0 else None
                if len(curve) and not name.startswith("joint"):
                    row[0].plot(curve[:, 0], curve[:, 1], label=label, **style)
            steps = np.mean([found["per_step"] for found in group], axis=0)
            if len(steps) > 1:
                row[1].plot(np.arange(1, len(steps) + 1), steps, label=NAMES.get(name, name), **style)
            else:
                row[1].bar(NAMES.get(name, name), steps[0], color=colours[name])
        row[0].set(
            title=f"{task}: validation rollout", xlabel="training seconds", ylabel="nRMSE", yscale="log"
        )
        row[1].set(title=f"{task}: test", xlabel="rollout step", yscale="log")
        (row[1] if row[1].lines else row[0]).legend(fontsize=7)
        if len(steps) == 1:
            row[1].set_xlabel("")
            row[1].tick_params(axis="x", labelrotation=25, labelsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
