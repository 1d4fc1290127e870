"""AdamW against Muon hybrid on the 2-task problem: the joint latent operator, equal time, equal tuning.

Both get the same seconds of training steps, the same four learning rates in short runs, the same batches,
schedule and seeds. Runs are those of `benchmarks/accuracy.py` and kept beside its own: what is there is not
run again.

    python benchmarks/optimizers.py               # 600 s a run, three seeds: two hours
    python benchmarks/optimizers.py --report-only
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib
import torch
from accuracy import arguments, complete
from contenders import JOINT, JOINT_ADAMW, Job

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {"latent_operator": "Muon hybrid", JOINT_ADAMW: "AdamW"}


def main() -> None:
    """Run what is missing, then write table and figure."""
    args = arguments(__doc__ or "")
    torch.set_num_threads(args.threads)
    budget = args.budget * len(JOINT.split("+"))
    finals = [Job(JOINT, name, seed, 0.0, budget, True) for seed in range(args.seeds) for name in NAMES]
    if not args.report_only:
        complete(finals, args)
    runs = {
        name: [json.loads((args.results / job.path).read_text()) for job in finals if job.contender == name]
        for name in NAMES
    }
    text = _table(runs)
    (args.report / "optimizers.md").write_text(text, encoding="utf-8")
    _figure(runs, args.report / "optimizers.png")
    print(text)


def _table(runs: dict[str, list[dict[str, Any]]]) -> str:
    first = runs["latent_operator"][0]
    tasks = list(first["test"])
    text = (
        f"{first['budget']:g} s on {first['threads']} threads; nRMSE of "
        f"test rollouts, mean ± deviation.\n\n| optimizer | lr | steps | {' | '.join(tasks)} |\n"
        f"| --- | --- | --- |{' --- |' * len(tasks)}\n"
    )
    for name, group in runs.items():
        cells = [_spread([found["test"][task]["nrmse"] for found in group]) for task in tasks]
        steps = statistics.fmean(found["steps"] for found in group)
        text += f"| {NAMES[name]} | {group[0]['rate']:g} | {steps:.0f} | {' | '.join(cells)} |\n"
    return text


def _spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3g}{deviation}"


def _figure(runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Validation error against training time, a line a seed."""
    figure, axis = plt.subplots(figsize=(6.4, 4))
    for index, (name, group) in enumerate(runs.items()):
        for number, found in enumerate(group):
            seconds, errors = zip(*found["curve"], strict=True)
            axis.plot(seconds, errors, color=f"C{index}", label=NAMES[name] if number == 0 else None)
    axis.set(xlabel="training seconds", ylabel="validation nRMSE, mean of both tasks", yscale="log")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
